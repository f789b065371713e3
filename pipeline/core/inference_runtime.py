"""Chooses the library that runs a network (torch, or OpenVINO, which is faster on a CPU) and records what was used."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pipeline.core.errors import InputError

Runtime = Literal["auto", "torch", "openvino"]

# OpenVINO's names of numeric types -> names in this project.
_OPENVINO_TYPES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


def device_name(value: object) -> object:
    """Return the name of a GPU that is given by its number, as 0 or "0", and any other value unchanged."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return f"cuda:{value}" if is_number or (isinstance(value, str) and value.isdecimal()) else value


@dataclass(frozen=True)
class Computation:
    """What actually runs a network.

    Attributes:
        library: torch, OpenVINO, ONNX Runtime or TensorRT.
        precision: of the arithmetic: fp32, fp16, bf16, or int8 together with the precision of the parts that stay
            in floating point.
        device: as the library calls it.
        processor: model name of that device.
    """

    library: str
    precision: str
    device: str
    processor: str

    def __str__(self) -> str:
        return f"{self.library}, {self.precision} on {self.device} ({self.processor})"

    @classmethod
    def of_openvino(cls, core: Any, compiled: Any, device: str, stored: str) -> Computation:
        """Describe a network that OpenVINO compiled; the processor, not the file, determines the floating point type.

        Args:
            core, compiled: an `openvino.Core` and its `CompiledModel`.
            device: as OpenVINO names it.
            stored: precision of the file's numbers, fp32, fp16 or int8.
        """
        hint = "INFERENCE_PRECISION_HINT"
        precision = stored
        if hint in compiled.get_property("SUPPORTED_PROPERTIES"):
            name = compiled.get_property(hint).get_type_name()
            precision = _OPENVINO_TYPES.get(name, name)
            if stored == "int8":
                precision = f"int8, the rest in {precision}"
        return cls("OpenVINO", precision, device, str(core.get_property(device, "FULL_DEVICE_NAME")).strip())


@cache
def cpu_name() -> str:
    """Return the model name of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def choose_runtime(runtime: Runtime, device_type: str) -> Literal["torch", "openvino"]:
    """Choose what runs the project's own weights (.pt, .safetensors) on a device.

    Args:
        runtime: "auto" is OpenVINO on a CPU if the package is installed, otherwise torch.
        device_type: as torch calls it: cpu, cuda, mps, ...

    Raises:
        InputError: OpenVINO is requested but not available.
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
