"""Export of a detector to a network file of another runtime, with Ultralytics' exporter in a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch

from detectors.ultralytics_import import import_ultralytics
from pipeline.core.errors import InputError

Format = Literal["onnx", "openvino", "tensorrt"]
Precision = Literal["fp32", "fp16", "int8"]

_ULTRALYTICS_FORMAT = {"onnx": "onnx", "openvino": "openvino", "tensorrt": "engine"}
_QUANTIZE = {"fp32": None, "fp16": 16, "int8": 8}
_PACKAGES = {"onnx": ("onnx",), "openvino": ("openvino",), "tensorrt": ("onnx", "tensorrt")}


def output_name(weights: Path, format: Format) -> str:
    """Return the name for the exported network: Ultralytics recognises a runtime by the end of the name."""
    return weights.stem + {"onnx": ".onnx", "openvino": "_openvino_model", "tensorrt": ".engine"}[format]


def export_network(
    weights: Path,
    output: Path,
    *,
    format: Format,
    precision: Precision = "fp32",
    image_size_px: int = 640,
    max_batch: int = 16,
    data: Path | None = None,
) -> None:
    """Export a .pt checkpoint to a network with dynamic batch, height and width.

    Args:
        output: the file, or for OpenVINO the folder; its name must end as `output_name` says.
        precision: number format; for OpenVINO "fp16" is the format of the stored weights, and the precision of the
            computation depends on the processor.
        image_size_px: longer side of the input.
        max_batch: largest batch of a TensorRT engine, which reserves memory for it.
        data: for int8: data.yaml of a data set whose val split is used for calibration.

    Raises:
        InputError: a package or a GPU is missing, or the arguments contradict each other.
    """
    _check(weights, output, format, precision, data)
    arguments: dict[str, Any] = {
        "format": _ULTRALYTICS_FORMAT[format],
        "imgsz": image_size_px,
        "dynamic": True,
        "quantize": _QUANTIZE[precision],
        "batch": max_batch if format == "tensorrt" else 1,
        "device": 0 if format == "tensorrt" else "cpu",
        "verbose": False,
    }
    if format != "openvino":
        arguments["simplify"] = False  # needs another package, and the runtimes simplify the network themselves
    if precision == "int8":
        arguments["data"] = str(data)
    with tempfile.TemporaryDirectory() as folder:
        # Ultralytics writes beside the checkpoint.
        copy = shutil.copy(weights, Path(folder) / weights.name)
        with _without_warnings():
            written = Path(import_ultralytics().YOLO(copy).export(**arguments))
        shutil.move(written, output)


def _check(weights: Path, output: Path, format: Format, precision: Precision, data: Path | None) -> None:
    if weights.suffix != ".pt" or not weights.is_file():
        raise InputError(f"only .pt checkpoints can be exported, and {weights} is not one")
    if output.exists():
        raise InputError(f"{output} exists already; remove it, or choose another --output")
    expected = output_name(weights, format)
    ending = expected.removeprefix(weights.stem)
    if not output.name.endswith(ending):
        raise InputError(f"--output {output} must end in {ending}, which names the runtime, such as {expected}")
    if format == "tensorrt" and not torch.cuda.is_available():
        raise InputError("a TensorRT export needs an NVIDIA GPU, and torch sees none here")
    packages = _PACKAGES[format] + (("nncf",) if precision == "int8" and format == "openvino" else ())
    packages += ("onnxruntime",) if precision == "int8" and format == "onnx" else ()
    for package in packages:
        if find_spec(package) is None:
            raise InputError(f"this export needs the package {package}: pip install 'mtmc[export]'")
    if precision == "int8" and data is None:
        raise InputError("an int8 export needs frames to calibrate with; give --data")


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress the warnings that the exporters cause in one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
