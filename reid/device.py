"""Choosing the device that a model runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.errors import InputError
from pipeline.core.gpu import torch_may_use_gpu
from pipeline.core.inference_runtime import cpu_name, device_name

if TYPE_CHECKING:
    import torch


def chosen_device(name: str) -> str:
    """Return the name of the device that `choose_device` returns; for the CPU without importing torch."""
    if name == "cpu" or (name == "auto" and not torch_may_use_gpu()):
        return "cpu"
    return str(choose_device(name))


def choose_device(name: str) -> torch.device:
    """Return the device that torch calls `name`; "auto" is the first GPU if there is one, otherwise the CPU.

    Raises:
        InputError: torch does not know the device or cannot use it here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(device_name(name)))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {name!r} cannot be used here: {reason}") from error
    return device


def processor_name(device: torch.device | str) -> str:
    """Return the product name of the GPU `device`, or of the CPU for any other device."""
    if not str(device).startswith("cuda"):
        return cpu_name()
    import torch

    return torch.cuda.get_device_name(device)
