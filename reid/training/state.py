"""The state of a run on disk, written atomically: a run killed at any moment resumes from the last state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import InputError
from pipeline.files.whole_files import replacing
from reid.training.config import TrainingConfig, parse_training_config

STATE_NAME = "last.pt"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, containers and plain values) to `folder`, replacing the previous one atomically."""
    with replacing(folder / STATE_NAME) as part:
        torch.save(state, part)


def load_state(folder: Path, device: torch.device) -> dict[str, Any]:
    """Read the state in `folder`, with tensors on `device`."""
    state: dict[str, Any] = torch.load(folder / STATE_NAME, map_location=device, weights_only=True)
    return state


def refuse_other_run(
    state: dict[str, Any], file: Path, config: TrainingConfig, *, precision: str, crops: str, number: int
) -> None:
    """Check that a state belongs to this run.

    Args:
        file: the file of the state, for messages.
        precision: number format of the forward pass on this device.
        crops: digest of the training crops.
        number: their number.

    Raises:
        InputError: the state belongs to another configuration or to other crops, or to a machine on which
            `run.precision: auto` means another precision.
    """
    # keys that were added to the program after the run began get their defaults
    theirs = parse_training_config(state["config"], source=str(file)).model_dump(mode="json")
    ours = config.model_dump(mode="json")
    if theirs != ours:
        changed = [
            f"{section}.{key}"
            for section, values in ours.items()
            for key, value in values.items()
            if theirs[section][key] != value
        ]
        raise InputError(
            f"{file} belongs to a run with another configuration ({', '.join(changed)}); "
            "resume with its own configuration, or start a new run in another folder"
        )
    if state.get("precision", precision) != precision:
        raise InputError(
            f"{file} belongs to a run in {state['precision']}, but run.precision: auto is {precision} on this device; "
            "resume on a device like the one it started on, or start a new run with --init model.safetensors"
        )
    if state.get("crops", crops) != crops:
        raise InputError(
            f"{file} belongs to a run on other crops: the {number} training crops found now have other names, "
            "identities or cameras; give the same --data"
        )
