"""The project's own model files (checkpoints): safetensors with everything needed to use the model.

The text metadata holds one JSON object. It has the model's configuration, the names of its cameras and views in the
order of the side information table, the normalisation of its input, and a card (data, training, results).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from pipeline.core.errors import InputError
from reid.models.loading import OWN_FORMAT_KEY
from reid.models.state_dict import read_metadata, shorten
from reid.models.transreid import TransReID, TransReIDConfig
from reid.safetensors_file import check_tensors, write_safetensors

FORMAT_VERSION = 1

#: Mean and standard deviation per RGB channel of pixels in [0, 1]: TransReID's, for both ViT and DeiT.
INPUT_MEAN = (0.5, 0.5, 0.5)
INPUT_STD = (0.5, 0.5, 0.5)

# What wrong values in a header raise: of the wrong type, or sizes that no computer has.
_WRONG_HEADER = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model and what is needed to use it.

    Attributes:
        model: in evaluation mode, float32, on the CPU.
        model_hash: 16 hexadecimal digits computed from everything that the features depend on: tensors, sizes,
            input normalisation and camera names, but not the card.
        camera_names: names of the rows of the camera table, in order; empty for a model without a table.
        view_names: names of the views of that table, in order; empty when it has none.
        input_mean, input_std: per RGB channel, for pixels in [0, 1].
        card: data, training and results, as the file states them.
    """

    model: TransReID
    model_hash: str
    camera_names: tuple[str, ...] = ()
    view_names: tuple[str, ...] = ()
    input_mean: tuple[float, ...] = INPUT_MEAN
    input_std: tuple[float, ...] = INPUT_STD
    card: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: str | Path,
    model: TransReID,
    *,
    camera_names: Sequence[str] = (),
    view_names: Sequence[str] = (),
    input_mean: Sequence[float] = INPUT_MEAN,
    input_std: Sequence[float] = INPUT_STD,
    card: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    inference_only: bool = True,
) -> None:
    """Write `model` to `path` atomically: a reader sees either the old file or the complete new one.

    Args:
        camera_names: one distinct name per camera of the model; the row for unknown cameras has no name.
        view_names: one name per view, or none.
        card: anything that JSON can hold.
        dtype: float32 or float16 for the weights; biases, norms and statistics, which are small, stay float32.
        inference_only: leave out the classifiers.

    Raises:
        InputError: the names do not fit the model.
        RunError: the file cannot be written.
    """
    if dtype not in (torch.float32, torch.float16):
        raise InputError(f"a checkpoint is stored in float32 or float16, not {dtype}")
    path = Path(path)
    config = replace(model.config, num_classes=0) if inference_only else model.config
    _check_names("camera", camera_names, config.cameras)
    if view_names:
        _check_names("view", view_names, config.views)
    header = {
        "version": FORMAT_VERSION,
        "config": asdict(config),
        "camera_names": list(camera_names),
        "view_names": list(view_names),
        "input_mean": list(input_mean),
        "input_std": list(input_std),
        "card": dict(card or {}),
    }
    if model.neck_feature != "before":
        header["neck_feature"] = model.neck_feature
    tensors = {
        key: value.detach().cpu().to(_stored_dtype(value, dtype)).contiguous()
        for key, value in model.state_dict().items()
        if not (inference_only and key.startswith("classifier"))
    }
    write_safetensors(path, tensors, {OWN_FORMAT_KEY: json.dumps(header)})


def load_checkpoint(path: str | Path) -> LoadedModel:
    """Read a file that `save_checkpoint` wrote.

    Raises:
        InputError: the file is missing, damaged, or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    _check_suffix(path)
    header = _read_header(path)
    try:
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in header["config"].items()
        }
        config = TransReIDConfig(**fields)
        model = TransReID.uninitialised(config)
        model.neck_feature = header.get("neck_feature", "before")
        _load_tensors(model, path)
        return LoadedModel(
            model=model.eval(),
            model_hash=_model_hash(path, header),
            camera_names=tuple(header["camera_names"]),
            view_names=tuple(header["view_names"]),
            input_mean=tuple(header["input_mean"]),
            input_std=tuple(header["input_std"]),
            card=dict(header["card"]),
        )
    except InputError:
        raise
    except _WRONG_HEADER as error:
        raise InputError(f"{path} does not describe a model as this version expects it: {error}") from error


def read_card(path: Path) -> tuple[str, Mapping[str, Any]]:
    """Return the `model_hash` that `load_checkpoint` would give, and the card (data, training, results, calibration),
    without building the model.

    Raises:
        InputError: the file is missing or is not a checkpoint of this project.
    """
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    _check_suffix(path)
    header = _read_header(path)
    card = header.get("card")
    if not isinstance(card, dict):
        raise InputError(f"{path} has damaged metadata: its card is no JSON object")
    return _model_hash(path, header), card


def rewrite_card(path: Path, card: Mapping[str, Any]) -> None:
    """Replace the card of the checkpoint at `path` atomically; the tensors, and therefore the hash, do not change.

    Raises:
        InputError: the file is missing or is not a checkpoint of this project.
        RunError: the file cannot be written.
    """
    header = _read_header(path)
    _model_hash(path, header)  # a damaged file must not get a new checksum
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    write_safetensors(path, tensors, {OWN_FORMAT_KEY: json.dumps({**header, "card": dict(card)})})


def _check_suffix(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise InputError(
            f"{path} is not a checkpoint of this project, whose files end in .safetensors; {_hint(path)}"
        )


def _hint(path: Path) -> str:
    """Return what to do with a file that another project wrote."""
    own = (
        path.with_suffix(".safetensors") if path.suffix != ".safetensors" else path.with_stem(f"{path.stem}_mtmc")
    )
    return (
        f"convert an official TransReID file with 'mtmc reid convert {path} {own}'; use any other network as "
        ".onnx or OpenVINO .xml, with embedder.input"
    )


def _check_names(kind: str, names: Sequence[str], count: int) -> None:
    if len(names) != count or len(set(names)) != len(names):
        raise InputError(f"the model has {count} {kind}s, but the {kind} names are {list(names)}")


def _stored_dtype(tensor: torch.Tensor, dtype: torch.dtype) -> torch.dtype:
    if not tensor.is_floating_point():
        return tensor.dtype
    return dtype if tensor.ndim > 1 else torch.float32


def _read_header(path: Path) -> dict[str, Any]:
    metadata = read_metadata(path)
    if OWN_FORMAT_KEY not in metadata:
        raise InputError(
            f"{path} is not a checkpoint of this project: its metadata has no {OWN_FORMAT_KEY}; {_hint(path)}"
        )
    try:
        header = json.loads(metadata[OWN_FORMAT_KEY])
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} has damaged metadata: {error}") from error
    version = header.get("version") if isinstance(header, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(f"{path} has format version {version}, but this program reads version {FORMAT_VERSION}")
    return dict(header)


def _load_tensors(model: TransReID, path: Path) -> None:
    own = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            stored = set(file.keys())
            if differing := sorted(stored ^ own.keys()):
                raise InputError(f"{path} and its configuration differ in the tensors {shorten(differing)}")
            for key, value in own.items():
                tensor = file.get_tensor(key)
                if tensor.shape != value.shape:
                    raise InputError(
                        f"{path}: {key} has shape {tuple(tensor.shape)} instead of {tuple(value.shape)}"
                    )
                value.copy_(tensor)
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file: {error}") from error


def _model_hash(path: Path, header: Mapping[str, Any]) -> str:
    """Return the hash of a model; InputError if the tensors of the file are damaged."""
    digest = hashlib.sha256()
    relevant = {key: value for key, value in header.items() if key != "card"}
    digest.update(json.dumps(relevant, sort_keys=True).encode())
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in sorted(file.keys())}
            metadata = dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file: {error}") from error
    check_tensors(path, arrays, metadata)
    for key, array in arrays.items():
        digest.update(key.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
