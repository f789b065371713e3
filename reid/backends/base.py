"""The interface between the embedder and the runtimes: crops and camera rows in, features out."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.inference_runtime import Computation
from reid.crops import normalise
from reid.model_header import ModelHeader
from reid.models.sie import UNKNOWN


class Backend(Protocol):
    """A network, loaded in a library on a device."""

    @property
    def computation(self) -> Computation:
        """Library, precision and device."""

    def features(self, crops: Tensor, cameras: IntArray) -> FloatArray:
        """Compute the features of a batch.

        Args:
            crops: (B, 3, H, W) uint8, RGB, on the CPU; B is at least 1.
            cameras: (B,) int64, rows of the model's camera table, or UNKNOWN.

        Returns:
            (B, D) float32, not normalised.
        """


def graph_inputs(header: ModelHeader, crops: Tensor, cameras: IntArray) -> dict[str, Tensor]:
    """Return the inputs of an exported network by name, for a batch as `Backend.features` takes it.

    All views are UNKNOWN, because the pipeline does not know the viewpoints of crops.
    """
    values = {
        "cameras": torch.from_numpy(cameras),
        "views": torch.full((len(cameras),), UNKNOWN, dtype=torch.int64),
    }
    images = normalise(crops, header.input_mean, header.input_std, torch.float32)
    return {"images": images, **{name: values[name] for name in header.index_inputs}}
