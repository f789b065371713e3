"""Third-party networks, in OpenVINO, or in ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation
from reid.backends.onnx_model import open_session
from reid.backends.openvino_model import compile_network, import_openvino
from reid.device import processor_name
from reid.foreign_network import ForeignNetwork, opened

_log = logging.getLogger(__name__)


class ForeignBackend:
    """A third-party network.

    Args:
        device: OpenVINO's name of a device, or torch's name of a CUDA device (cuda, cuda:1), on which ONNX Runtime
            computes an .onnx file.
        exact: as in `reid.backends.openvino_model.OpenVinoBackend`.

    Attributes:
        batched: whether it takes several crops at once; networks made for a single crop get them one by one.

    Raises:
        InputError: a package is not installed, or the device cannot compute the network.
    """

    def __init__(self, network: ForeignNetwork, device: str = "CPU", *, exact: bool = False) -> None:
        self._input = network.input
        self._dim = network.header.feature_dim
        size_hw = network.header.image_size
        if device.startswith("cuda"):
            self._run: _OpenVino | _OnnxRuntime = _OnnxRuntime(network.path, device)
        else:
            self._run = _OpenVino(network, device, exact=exact)
        self.batched = self._run.batched(np.zeros((2, 3, *size_hw), np.float32), self._dim)
        self.computation = self._run.computation

    def features(self, crops: NDArray[np.uint8], cameras: IntArray) -> FloatArray:
        """Satisfies `Backend.features`; a third-party network ignores the cameras."""
        pixels = self._input.pixels_of(crops.transpose(0, 2, 3, 1))
        features = self._run(pixels) if self.batched else self._run.one_by_one(pixels)
        return features.reshape(len(pixels), self._dim)


class _OpenVino:
    """A network compiled by OpenVINO, for batches of any size if the network allows it."""

    def __init__(self, network: ForeignNetwork, device: str, *, exact: bool) -> None:
        self._network, self._device, self._exact = network, device, exact
        self._core = import_openvino(network.path).Core()
        self._compile(opened(network.path, network.input))

    def batched(self, two: NDArray[np.float32], dim: int) -> bool:
        """Recompile for batches and return True if `two` crops give features (2, D); otherwise stay with one crop."""
        path, settings = self._network.path, self._network.input
        many = opened(path, settings)
        try:
            many.reshape([-1, *two.shape[1:]])
            self._compile(many)
            if self(two).size == 2 * dim and many.output(0).get_partial_shape()[0].is_dynamic:
                return True
        except (
            RuntimeError,
            InputError,
        ) as error:  # only trying shows whether a layer is made for a single crop
            _log.debug("%s gets crops one by one: %s", path, error)
        self._compile(opened(path, settings), one_by_one=True)
        return False

    def __call__(self, pixels: NDArray[np.float32]) -> FloatArray:
        return np.array(self._compiled(pixels)[0], np.float32)

    def one_by_one(self, pixels: NDArray[np.float32]) -> FloatArray:
        """Return the features of crops (N, 3, H, W), several of which are computed at the same time."""
        features: list[FloatArray] = [np.zeros(0, np.float32)] * len(pixels)

        def done(request: Any, number: int) -> None:
            features[number] = np.array(request.get_output_tensor().data, np.float32)

        queue = import_openvino(self._network.path).AsyncInferQueue(self._compiled)
        queue.set_callback(done)
        for number, crop in enumerate(pixels):
            queue.start_async({0: crop[None]}, number)
        queue.wait_all()
        return np.concatenate(features)

    def _compile(self, network: Any, *, one_by_one: bool = False) -> None:
        self._compiled = compile_network(
            self._core, network, self._network.path, self._device, exact=self._exact, many_requests=one_by_one
        )
        self.computation = Computation.of_openvino(self._core, self._compiled, self._device, "fp32")


class _OnnxRuntime:
    """An .onnx file on an NVIDIA GPU."""

    def __init__(self, path: Path, device: str) -> None:
        self._path = path
        self._session = open_session(path, device)
        (self._input,) = self._session.get_inputs()
        self._type = np.float16 if "float16" in self._input.type else np.float32
        precision = "fp16" if self._type is np.float16 else "fp32"
        self.computation = Computation("ONNX Runtime", precision, device, processor_name(device))

    def batched(self, two: NDArray[np.float32], dim: int) -> bool:
        """Return whether `two` crops give two features; the file itself says whether its batch size is fixed."""
        if isinstance(self._input.shape[0], int):
            return False
        try:
            return len(self(two)) == 2
        except Exception as error:  # the package's exceptions have no common base but Exception
            _log.debug("%s gets crops one by one: %s", self._path, error)
            return False

    def __call__(self, pixels: NDArray[np.float32]) -> FloatArray:
        features = self._session.run(None, {self._input.name: pixels.astype(self._type)})[0]
        return np.asarray(features, np.float32)

    def one_by_one(self, pixels: NDArray[np.float32]) -> FloatArray:
        """Return the features of crops (N, 3, H, W)."""
        return np.concatenate([self(crop[None]) for crop in pixels])
