"""Features of another network as a second opinion on who looks like whom."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from reid.datasets import CropSet
from reid.peers import network_features
from reid.training.data import crops_digest


@dataclass(frozen=True)
class TeacherIdentity:
    """Which network a run learns from, as its state remembers it.

    Attributes:
        name: of its file.
        digest: 16 hexadecimal digits of its files, .xml and .bin.
    """

    name: str
    digest: str

    def __str__(self) -> str:
        return f"the teacher {self.name} ({self.digest})"


def identify_teacher(model: Path) -> TeacherIdentity:
    """What tells `model` from other networks; InputError if it cannot be read."""
    digest = hashlib.sha256()
    weights = model.with_suffix(".bin")
    try:
        for path in (model, weights) if weights.is_file() else (model,):
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
    """Embed all crops with an OpenVINO network, once before training.

    Args:
        folder: keeps them for when the run is resumed, in a file named after network and crops.
        model: .xml file of a network that takes (N, 3, H, W) BGR pixels of 0..255 and returns (N, D), such as
            person-reidentification-retail-0286 of the Open Model Zoo.

    Returns:
        (N, D) float32 in the order of the crops, L2-normalised.

    Raises:
        InputError: OpenVINO is not installed, or the file is no such network.
    """
    cache = folder / f"teacher_{identify_teacher(model).digest}_{crops_digest(crops)}.npy"
    if cache.exists():
        return np.asarray(np.load(cache), np.float32)
    features = network_features(model, crops, "bgr255", description="teacher")
    partial = cache.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, features)
    os.replace(partial, cache)
    return features


def teacher_state(teacher: Path | None) -> dict[str, str] | None:
    """What a state keeps of the teacher, for `refuse_other_teacher`."""
    return None if teacher is None else asdict(identify_teacher(teacher))
