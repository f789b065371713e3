"""TransReID in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation
from reid.backends.base import graph_inputs
from reid.device import processor_name
from reid.model_header import HEADER_KEY, ModelHeader


class OnnxBackend:
    """An .onnx file that `reid.export` wrote.

    Attributes:
        header: the header that the file carries.

    Raises:
        InputError: the package is not installed or cannot use the device, or `reid.export` did not write the file.
    """

    def __init__(self, path: Path, device: str) -> None:
        self._session = open_session(path, device)
        self.header = _header(self._session, path)
        self.computation = Computation("ONNX Runtime", self.header.precision, device, processor_name(device))

    def features(self, crops: NDArray[np.uint8], cameras: IntArray) -> FloatArray:
        """Satisfies `Backend.features`."""
        inputs = graph_inputs(self.header, crops, cameras)
        features: FloatArray = self._session.run(None, inputs)[0]
        return features


def open_session(path: Path, device: str) -> Any:
    """Open a file as an `onnxruntime.InferenceSession` on the CPU or a GPU; raises the errors of `OnnxBackend`."""
    onnxruntime = _import_onnxruntime(path)
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        if not has_cuda(path):
            raise InputError(
                f"{path} cannot be used on {device}: the installed onnxruntime is for the CPU; "
                "pip install onnxruntime-gpu, or set device: cpu"
            )
        providers = [("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)}), *providers]
    elif device != "cpu":
        raise InputError(f"{path} cannot be used on {device}: ONNX files run on cpu and cuda")
    return _open(onnxruntime, path, providers)


def has_cuda(path: Path) -> bool:
    """Return whether the installed ONNX Runtime is the one for NVIDIA GPUs; raises the errors of `OnnxBackend`."""
    return "CUDAExecutionProvider" in _import_onnxruntime(path).get_available_providers()


def read_header(path: Path) -> ModelHeader:
    """Return the header of an ONNX file; raises the errors of `OnnxBackend`."""
    return _header(_open(_import_onnxruntime(path), path, ["CPUExecutionProvider"]), path)


def _import_onnxruntime(path: Path) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(f"{path} needs the package onnxruntime: pip install onnxruntime") from error
    return onnxruntime


def _open(onnxruntime: Any, path: Path, providers: list[Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; the warnings are about the order of providers
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # the package's exceptions have no common base but Exception
        raise InputError(f"{path} is not a readable ONNX network: {' '.join(str(error).split())}") from error


def _header(session: Any, path: Path) -> ModelHeader:
    text = session.get_modelmeta().custom_metadata_map.get(HEADER_KEY)
    if text is None:
        raise InputError(
            f"{path} is not a re-identification network of this project: its metadata_props have no {HEADER_KEY}; "
            "write one with 'mtmc reid export'"
        )
    header = ModelHeader.from_json(text, str(path))
    found = {item.name for item in session.get_inputs()}
    if found != {"images", *header.index_inputs}:
        raise InputError(
            f"{path} has the inputs {', '.join(sorted(found))}, but its metadata describes images, "
            f"{', '.join(header.index_inputs)}; export it again"
        )
    return header
