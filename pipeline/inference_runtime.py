"""Which library computes a network: torch, or on a CPU OpenVINO, which is faster there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from pipeline.errors import InputError

Runtime = Literal["auto", "torch", "openvino"]


def choose_runtime(runtime: Runtime, device_type: str) -> Literal["torch", "openvino"]:
    """What computes the project's own weights (.pt, .safetensors) on a device.

    Args:
        runtime: "auto" is OpenVINO on a CPU where the package is installed, otherwise torch.
        device_type: as torch calls it: cpu, cuda, mps, ...

    Raises:
        InputError: OpenVINO is asked for where it cannot be had.
    """
    if runtime == "torch":
        return "torch"
    installed = find_spec("openvino") is not None  # finds the package without importing it
    if runtime == "auto":
        return "openvino" if device_type == "cpu" and installed else "torch"
    if device_type != "cpu":
        raise InputError(
            f"runtime: openvino computes on the CPU, not on the device {device_type}; set device: cpu or runtime: torch"
        )
    if not installed:
        raise InputError("runtime: openvino needs the package openvino: pip install openvino")
    return "openvino"
