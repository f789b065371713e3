"""The interface between the embedder and the runtimes: crops and camera rows in, features out."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.inference_runtime import Computation
from reid.crops import normalised
from reid.model_header import UNKNOWN, ModelHeader


class Backend(Protocol):
    """A network, loaded in a library on a device."""

    @property
    def computation(self) -> Computation:
        """Library, precision and device."""

    def features(self, crops: NDArray[np.uint8], cameras: IntArray) -> FloatArray:
        """Compute the features of a batch.

        Args:
            crops: (B, 3, H, W) uint8, RGB; B is at least 1.
            cameras: (B,) int64, rows of the model's camera table, or UNKNOWN.

        Returns:
            (B, D) float32, not normalised.
        """


def graph_inputs(header: ModelHeader, crops: NDArray[np.uint8], cameras: IntArray) -> dict[str, NDArray[Any]]:
    """Return the inputs of an exported network by name, for a batch as `Backend.features` takes it.

    All views are UNKNOWN, because the pipeline does not know the viewpoints of crops.
    """
    values = {
        "cameras": cameras,
        "views": np.full(len(cameras), UNKNOWN, np.int64),
    }
    images = normalised(crops, header.input_mean, header.input_std)
    return {"images": images, **{name: values[name] for name in header.index_inputs}}
