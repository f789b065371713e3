"""Features of another network as a second opinion on who looks like whom."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import InputError
from reid.checkpoints import load_checkpoint
from reid.datasets import CropSet
from reid.distances import unit_rows
from reid.features import extract_features
from reid.peers import network_features
from reid.training.data import crops_digest
from reid.training.transforms import EvaluationTransform


@dataclass(frozen=True)
class TeacherIdentity:
    """Which network a run learns from, as its state remembers it.

    Attributes:
        name: of its file.
        digest: 16 hexadecimal digits of its files: .safetensors, or .xml and .bin.
    """

    name: str
    digest: str

    def __str__(self) -> str:
        return f"the teacher {self.name} ({self.digest})"


def identify_teacher(model: Path) -> TeacherIdentity:
    """What tells `model` from other networks; InputError if it cannot be read."""
    digest = hashlib.sha256()
    weights = model.with_suffix(".bin")
    files = (model, weights) if model.suffix == ".xml" and weights.is_file() else (model,)
    try:
        for path in files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise InputError(f"--teacher {model} cannot be read: {error.strerror}") from error
    return TeacherIdentity(model.name, digest.hexdigest()[:16])


def refuse_other_teacher(state: Mapping[str, Any], teacher: Path | None, source: Path) -> None:
    """InputError if the run that saved `state` at `source` learned from another teacher, or from none.

    A state from before teachers were kept in it goes on with any.
    """
    if "teacher" not in state:
        return
    theirs = None if state["teacher"] is None else TeacherIdentity(**state["teacher"])
    ours = None if teacher is None else identify_teacher(teacher)
    if (theirs and theirs.digest) != (ours and ours.digest):
        raise InputError(
            f"{source} belongs to a run with {theirs or 'no teacher'}, but now there is {ours or 'no teacher'}; "
            + (f"resume with --teacher {theirs.name}" if theirs else "resume without --teacher")
            + ", or start anew in another folder"
        )


def teacher_features(model: Path, crops: CropSet, folder: Path) -> NDArray[np.float32]:
    """Embed all crops with another network, once before training.

    Args:
        folder: keeps them for when the run is resumed, in a file named after network and crops.
        model: a checkpoint of this project, whose crops have the rows of their cameras; or the .xml file of a network
            of OpenVINO that takes (N, 3, H, W) BGR pixels of 0..255 and returns (N, D), such as
            person-reidentification-retail-0286 of the Open Model Zoo.

    Returns:
        (N, D) float32 in the order of the crops, L2-normalised.

    Raises:
        InputError: OpenVINO is not installed, or the file is neither such a network nor a checkpoint.
    """
    cache = folder / f"teacher_{identify_teacher(model).digest}_{crops_digest(crops)}.npy"
    if cache.exists():
        return np.asarray(np.load(cache), np.float32)
    if model.suffix == ".safetensors":
        features = _own_features(model, crops)
    else:
        features = network_features(model, crops, "bgr255", description="teacher")
    partial = cache.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, features)
    os.replace(partial, cache)
    return features


def _own_features(checkpoint: Path, crops: CropSet) -> NDArray[np.float32]:
    """As of `teacher_features`, by a checkpoint of this project, on the CPU."""
    loaded = load_checkpoint(checkpoint)
    transform = EvaluationTransform(loaded.model.config.image_size, loaded.input_mean, loaded.input_std)
    labelled = extract_features(
        loaded.model,
        crops,
        transform,
        cameras=loaded.camera_names or None,
        views=loaded.view_names or None,
        device=torch.device("cpu"),
    )
    return unit_rows(labelled.features)


def teacher_state(teacher: Path | None) -> dict[str, str] | None:
    """What a state keeps of the teacher, for `refuse_other_teacher`."""
    return None if teacher is None else asdict(identify_teacher(teacher))
