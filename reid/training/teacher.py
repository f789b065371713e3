"""Teachers: other networks, whose features of the unaugmented training crops a model learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS, NetworkInput, parse_network_input
from pipeline.core.vectors import unit
from pipeline.files.whole_files import replacing
from reid.checkpoints import load_checkpoint
from reid.datasets import CropSet
from reid.evaluation.features import extract_features
from reid.evaluation.peers import network_features
from reid.training.transforms import EvaluationTransform


@dataclass(frozen=True)
class Teacher:
    """A network to learn from.

    Attributes:
        path: checkpoint of this project (.safetensors), or an OpenVINO or ONNX network.
        input: the pixel format that an OpenVINO or ONNX network takes.
    """

    path: Path
    input: NetworkInput = INPUT_PRESETS["bgr255"]


def parse_teacher(text: str) -> Teacher:
    """Parse FILE or FILE,INPUT, where INPUT is a preset or a YAML mapping (`pipeline.core.network_input`).

    Raises:
        InputError: the input is unknown.
    """
    path, comma, stated = text.partition(",")
    if not comma:
        return Teacher(Path(text))
    return Teacher(Path(path), parse_network_input("--teacher", stated))


@dataclass(frozen=True)
class TeacherIdentity:
    """Identifies a teacher of a run; stored in the run's state.

    Attributes:
        name: name of its file.
        digest: 16 hexadecimal digits for the content of its files: .safetensors, or .xml and .bin.
    """

    name: str
    digest: str

    def __str__(self) -> str:
        return f"the teacher {self.name} ({self.digest})"


def identify_teacher(model: Path) -> TeacherIdentity:
    """Return the identity of the network `model`; raises InputError if it cannot be read."""
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


def refuse_other_teachers(state: Mapping[str, Any], teachers: Sequence[Teacher], source: Path) -> None:
    """Raise InputError if the run that saved `state` at `source` had other teachers, or was written by a version that
    supported only one teacher."""
    if "teachers" not in state:
        raise InputError(
            f"{source} was written by an older version; start a new run in another folder with --init and its "
            "model.safetensors"
        )
    theirs = [TeacherIdentity(**one) for one in state["teachers"]]
    ours = [identify_teacher(teacher.path) for teacher in teachers]
    if [one.digest for one in theirs] != [one.digest for one in ours]:
        raise InputError(
            f"{source} belongs to a run with {_listed(theirs)}, but now there is {_listed(ours)}; "
            + (
                f"resume with {' '.join(f'--teacher {one.name}' for one in theirs)}"
                if theirs
                else "resume without --teacher"
            )
            + ", or start a new run in another folder"
        )


def _listed(teachers: Sequence[TeacherIdentity]) -> str:
    return " and ".join(map(str, teachers)) or "no teacher"


def teacher_features(teacher: Teacher, crops: CropSet, folder: Path) -> NDArray[np.float32]:
    """Embed the crops of a data set with a teacher, once before training.

    Args:
        folder: where the features are kept for resuming and for other runs, in a file named after network, its input,
            and crops.

    Returns:
        (N, D) float32 in the order of the crops, L2-normalised. A checkpoint of this project uses its SIE rows for
        cameras whose names it has.

    Raises:
        InputError: OpenVINO is not installed, or the file is neither a network that takes crops nor a checkpoint.
    """
    pixels = hashlib.sha256(teacher.input.model_dump_json().encode()).hexdigest()[:8]
    network = f"{identify_teacher(teacher.path).digest}_{pixels}"
    cache = folder / f"teacher_{network}_{_digest(crops)}.npy"
    if cache.exists():
        return np.asarray(np.load(cache), np.float32)
    if teacher.path.suffix == ".safetensors":
        features = _own_features(teacher.path, crops)
    else:
        features = network_features(teacher.path, crops, teacher.input, description=teacher.path.stem)
    with replacing(cache) as part, part.open("wb") as file:
        np.save(file, features)
    return features


def _digest(crops: CropSet) -> str:
    """Return 16 hexadecimal digits for file names and cameras of the crops in their order.

    Identities do not matter: their numbers depend on the other data sets of a training.
    """
    lines = (f"{crop.path.name} {crop.camera}\n" for crop in crops.crops)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _own_features(checkpoint: Path, crops: CropSet) -> NDArray[np.float32]:
    """Compute the result of `teacher_features` with a checkpoint of this project, on the CPU."""
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
    return unit(labelled.features)


def teacher_states(teachers: Sequence[Teacher]) -> list[dict[str, str]]:
    """Return what a state stores about the teachers, for `refuse_other_teachers`."""
    return [asdict(identify_teacher(teacher.path)) for teacher in teachers]
