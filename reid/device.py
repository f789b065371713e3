"""Choosing the device that a model runs on."""

from __future__ import annotations

import torch

from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import cpu_name, device_name


def choose_device(name: str) -> torch.device:
    """Return the device that torch calls `name`; "auto" is the first GPU if there is one, otherwise the CPU.

    Raises:
        InputError: torch does not know the device or cannot use it here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(device_name(name)))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {name!r} cannot be used here: {reason}") from error
    return device


def processor_name(device: torch.device) -> str:
    """Return the product name of the GPU `device`, or of the CPU for any other device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
