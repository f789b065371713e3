"""TransReID in torch."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.inference_runtime import Computation
from reid.checkpoints import LoadedModel
from reid.device import processor_name
from reid.normalise import normalise


class TorchBackend:
    """A copy of a loaded model on a device.

    Args:
        half: compute in float16.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device, *, half: bool) -> None:
        self._device = device
        self._dtype = torch.float16 if half else torch.float32
        self._model = copy.deepcopy(loaded.model).to(device, self._dtype).eval()
        self._input_mean, self._input_std = loaded.input_mean, loaded.input_std
        self.computation = Computation("torch", "fp16" if half else "fp32", str(device), processor_name(device))

    def features(self, crops: NDArray[np.uint8], cameras: IntArray) -> FloatArray:
        """Satisfies `Backend.features`."""
        with torch.inference_mode():
            images = normalise(
                torch.from_numpy(crops).to(self._device), self._input_mean, self._input_std, self._dtype
            )
            features: FloatArray = self._model(images, torch.from_numpy(cameras)).float().cpu().numpy()
        return features
