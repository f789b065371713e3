"""Reduce a detector of many classes to a single class, without changing its results for that class."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.core.errors import InputError


def keep_class(model: Any, name: str) -> None:
    """Reduce an Ultralytics detection model to the class `name`, in place.

    The head ends in one 1x1 convolution per scale with a row of weights for each class. The row of the class is
    kept and the others are dropped, so the confidences of that class stay exactly the same. The layers before keep
    their widths, but a model that Ultralytics builds for one class has narrower ones. The result must therefore be
    loaded as stored; it cannot be rebuilt from its architecture.

    Args:
        model: ultralytics.nn.tasks.DetectionModel.
        name: one of its class names.

    Raises:
        InputError: the model does not have the class, or is not a detection model.
    """
    head = model.model[-1]
    if not hasattr(head, "cv3") or not hasattr(head, "reg_max"):
        raise InputError(
            f"a {type(head).__name__} head cannot be reduced to one class; use a YOLO detection model"
        )
    ids = [class_id for class_id, known in model.names.items() if known == name]
    if not ids:
        raise InputError(f"the model has no class {name!r}; its classes are: {', '.join(model.names.values())}")
    if len(ids) > 1:
        raise InputError(
            f"{len(ids)} classes of the model have the name {name!r}, so none of them can be kept alone"
        )
    # Models that need no NMS have a second head of the same shape.
    for branches in (head.cv3, getattr(head, "one2one_cv3", None)):
        for branch in branches or []:
            branch[-1] = _one_row(branch[-1], ids[0])
    head.nc = 1
    head.no = 1 + 4 * head.reg_max
    model.names = {0: name}
    model.nc = 1
    model.yaml = {**model.yaml, "nc": 1}


def save_for_inference(model: Any, path: Path, *, image_size_px: int) -> None:
    """Save a model as an Ultralytics checkpoint with only its weights, in half precision.

    Optimiser, averages and the arguments of the training, which contain paths of the machine, are left out.

    Args:
        model: ultralytics.nn.tasks.DetectionModel.
        path: path of the .pt file.
        image_size_px: the size the model was trained at, which Ultralytics uses as default.
    """
    stripped = copy.deepcopy(model).cpu().half().eval().to(memory_format=torch.contiguous_format)
    arguments = {"task": "detect", "imgsz": image_size_px}
    stripped.args = dict(arguments)
    stripped.yaml = {**stripped.yaml, "yaml_file": Path(stripped.yaml.get("yaml_file", "")).name}
    stripped.criterion = None
    if hasattr(stripped, "pt_path"):
        del stripped.pt_path
    stripped.requires_grad_(False)
    torch.save({"model": stripped, "ema": None, "train_args": arguments, "license": "AGPL-3.0-or-later"}, path)


def _one_row(convolution: nn.Conv2d, row: int) -> nn.Conv2d:
    """Return the 1x1 convolution reduced to one of its output channels."""
    reduced = nn.Conv2d(convolution.in_channels, 1, kernel_size=1, bias=convolution.bias is not None)
    reduced.weight.data = convolution.weight.data[row : row + 1].clone()
    if reduced.bias is not None and convolution.bias is not None:
        reduced.bias.data = convolution.bias.data[row : row + 1].clone()
    return reduced.to(convolution.weight.device)
