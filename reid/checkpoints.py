"""The project's own model files (checkpoints): safetensors with everything needed to use the model.

The text metadata holds one JSON object. It has the model's configuration, the names of its cameras and views in the
order of the side information table, the normalisation of its input, and a card (data, training, results).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from pipeline.core.errors import InputError
from reid.checkpoint_file import (
    FORMAT_VERSION,
    OWN_FORMAT_KEY,
    WRONG_HEADER,
    config_of,
    model_hash,
    read_header,
)
from reid.models.state_dict import shorten
from reid.models.transreid import TransReID
from reid.safetensors_file import write_safetensors

#: Mean and standard deviation per RGB channel of pixels in [0, 1]: TransReID's, for both ViT and DeiT.
INPUT_MEAN = (0.5, 0.5, 0.5)
INPUT_STD = (0.5, 0.5, 0.5)


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
    header = read_header(path)
    try:
        config = config_of(header)
        model = TransReID.uninitialised(config)
        model.neck_feature = header.get("neck_feature", "before")
        _load_tensors(model, path)
        return LoadedModel(
            model=model.eval(),
            model_hash=model_hash(path, header),
            camera_names=tuple(header["camera_names"]),
            view_names=tuple(header["view_names"]),
            input_mean=tuple(header["input_mean"]),
            input_std=tuple(header["input_std"]),
            card=dict(header["card"]),
        )
    except InputError:
        raise
    except WRONG_HEADER as error:
        raise InputError(f"{path} does not describe a model as this version expects it: {error}") from error


def rewrite_card(path: Path, card: Mapping[str, Any]) -> None:
    """Replace the card of the checkpoint at `path` atomically; the tensors, and therefore the hash, do not change.

    Raises:
        InputError: the file is missing or is not a checkpoint of this project.
        RunError: the file cannot be written.
    """
    header = read_header(path)
    model_hash(path, header)  # a damaged file must not get a new checksum
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    write_safetensors(path, tensors, {OWN_FORMAT_KEY: json.dumps({**header, "card": dict(card)})})


def _check_names(kind: str, names: Sequence[str], count: int) -> None:
    if len(names) != count or len(set(names)) != len(names):
        raise InputError(f"the model has {count} {kind}s, but the {kind} names are {list(names)}")


def _stored_dtype(tensor: torch.Tensor, dtype: torch.dtype) -> torch.dtype:
    if not tensor.is_floating_point():
        return tensor.dtype
    return dtype if tensor.ndim > 1 else torch.float32


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
