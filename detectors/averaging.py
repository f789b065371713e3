"""Average several fine-tunings of one checkpoint: on the data of each, the mean is often as good as that fine-tuning.

Source: M. Wortsman et al., Model soups, ICML 2022 (section 2, the uniform soup).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from detectors.single_class import save_for_inference
from detectors.ultralytics_network import load_model
from pipeline.core.errors import InputError


def average(weights: Sequence[str], output: Path, *, image_size_px: int = 640) -> None:
    """Write the mean of the weights of checkpoints that were fine-tuned from the same one.

    Args:
        weights: at least two Ultralytics .pt checkpoints of one architecture with the same classes. The function does
            not check that they were fine-tuned from the same checkpoint; if they were not, the mean detects nothing.
        output: the .pt file, half precision, for inference only.
        image_size_px: the size the models were trained at.

    Raises:
        InputError: there are fewer than two, one is missing or not a checkpoint, or their networks differ.
    """
    if len(weights) < 2:
        raise InputError(f"{len(weights)} checkpoint given: name at least two to average")
    models = [_load(name) for name in weights]
    first = models[0]
    for name, model in zip(weights[1:], models[1:], strict=True):
        if _signature(model) != _signature(first):
            raise InputError(
                f"{name} is another network than {weights[0]}, or has other classes: they cannot be averaged"
            )
    states = [model.float().state_dict() for model in models]
    mean = {
        key: torch.stack([state[key] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for key, value in states[0].items()
    }
    first.load_state_dict(mean)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_for_inference(first, output, image_size_px=image_size_px)


def _load(name: str) -> Any:
    if not name.endswith(".pt"):
        raise InputError(f"{name} is not a .pt checkpoint; exported models cannot be averaged")
    return load_model(name).model


def _signature(model: Any) -> tuple[dict[int, str], dict[str, torch.Size]]:
    return model.names, {key: value.shape for key, value in model.state_dict().items()}
