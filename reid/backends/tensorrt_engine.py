"""TransReID in TensorRT, on an NVIDIA GPU.

An engine file holds a length in four bytes (little endian), that number of bytes of JSON, and the serialised engine.
Ultralytics uses the same layout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation
from reid.backends.base import graph_inputs
from reid.device import processor_name
from reid.model_header import HEADER_KEY, ModelHeader

_LENGTH_BYTES = 4


class TensorRtBackend:
    """An .engine file that `reid.export` wrote, on the GPU model it was built for.

    Attributes:
        header: the header that the file carries.

    Raises:
        InputError: there is no GPU or no TensorRT, `reid.export` did not write the file, or it was built for another
            GPU model or version.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        self.header, plan = read_engine(path)
        tensorrt = import_tensorrt(str(path))
        if device.type != "cuda":
            raise InputError(
                f"{path} cannot be used on {device}: TensorRT engines run on NVIDIA GPUs; set device: cuda"
            )
        self._device = device
        with torch.cuda.device(device):
            self._logger = tensorrt.Logger(tensorrt.Logger.ERROR)
            engine = tensorrt.Runtime(self._logger).deserialize_cuda_engine(plan)
            if engine is None:
                raise InputError(
                    f"{path} cannot be used here: an engine runs only on the GPU model and TensorRT version it was "
                    "built with; export it again on this machine"
                )
            self._engine = engine
            self._context = engine.create_execution_context()
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._output = next(n for n in names if engine.get_tensor_mode(n) == tensorrt.TensorIOMode.OUTPUT)
        self._max_batch = int(engine.get_tensor_profile_shape("images", 0)[2][0])
        self.computation = Computation("TensorRT", self.header.precision, str(device), processor_name(device))

    def features(self, crops: NDArray[np.uint8], cameras: IntArray) -> FloatArray:
        """Satisfies `Backend.features`."""
        parts = []
        for start in range(0, len(crops), self._max_batch):
            batch = slice(start, start + self._max_batch)
            parts.append(self._run(graph_inputs(self.header, crops[batch], cameras[batch])))
        features: FloatArray = torch.cat(parts).cpu().numpy()
        return features

    def _run(self, inputs: dict[str, NDArray[Any]]) -> Tensor:
        with torch.cuda.device(self._device):
            on_gpu = {
                name: torch.from_numpy(value).to(self._device).contiguous() for name, value in inputs.items()
            }
            output = torch.empty(
                (len(inputs["images"]), self.header.feature_dim), dtype=torch.float32, device=self._device
            )
            for name, value in on_gpu.items():
                self._context.set_input_shape(name, tuple(value.shape))
                self._context.set_tensor_address(name, value.data_ptr())
            self._context.set_tensor_address(self._output, output.data_ptr())
            stream = torch.cuda.current_stream(self._device)
            self._context.execute_async_v3(stream.cuda_stream)
            stream.synchronize()
        return output


def write_engine(path: Path, header: ModelHeader, plan: bytes) -> None:
    """Write an engine file."""
    text = json.dumps({HEADER_KEY: header.to_json()}).encode()
    path.write_bytes(len(text).to_bytes(_LENGTH_BYTES, "little") + text + plan)


def read_engine(path: Path) -> tuple[ModelHeader, bytes]:
    """Return header and serialised engine of an engine file; raises InputError if it is not one."""
    content = path.read_bytes()
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    try:
        metadata = json.loads(content[_LENGTH_BYTES:end])
    except (UnicodeDecodeError, json.JSONDecodeError):
        metadata = None
    if not isinstance(metadata, dict) or HEADER_KEY not in metadata:
        raise InputError(
            f"{path} is not a re-identification engine of this project: it does not begin with its metadata; write "
            "one with 'mtmc reid export'"
        )
    return ModelHeader.from_json(metadata[HEADER_KEY], str(path)), content[end:]


def import_tensorrt(what: str) -> Any:
    """Import the package tensorrt; raises InputError if it or a GPU is missing."""
    if not torch.cuda.is_available():
        raise InputError(f"{what} needs an NVIDIA GPU, and torch sees none here")
    try:
        import tensorrt
    except ModuleNotFoundError as error:
        raise InputError(f"{what} needs the package tensorrt: pip install tensorrt") from error
    return tensorrt
