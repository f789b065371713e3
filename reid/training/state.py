"""The state of a run on disk, written atomically: a run killed at any moment resumes from the last state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline.files.whole_files import replacing

STATE_NAME = "last.pt"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, containers and plain values) to `folder`, replacing the previous one atomically."""
    with replacing(folder / STATE_NAME) as part:
        torch.save(state, part)


def load_state(folder: Path, device: torch.device) -> dict[str, Any]:
    """Read the state in `folder`, with tensors on `device`."""
    state: dict[str, Any] = torch.load(folder / STATE_NAME, map_location=device, weights_only=True)
    return state
