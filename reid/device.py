"""Choosing the device that a model runs on."""

from __future__ import annotations

import torch

from pipeline.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device that torch calls `name`; "auto" is the first GPU if there is one, otherwise the CPU.

    Raises:
        InputError: torch does not know it or cannot use it here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {name!r} cannot be used here: {reason}") from error
    return device
