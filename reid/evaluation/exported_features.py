"""Compute the features of a data set's crops with any backend."""

from __future__ import annotations

import numpy as np

from reid.backends.base import Backend
from reid.crops import Resize, resize_antialiased, resize_image
from reid.datasets import CropSet, camera_indices, read_rgb
from reid.distances import Float32Array
from reid.model_header import ModelHeader


def exported_features(
    backend: Backend,
    header: ModelHeader,
    crops: CropSet,
    *,
    batch_size: int = 64,
    resize: Resize = resize_antialiased,
) -> Float32Array:
    """Return features (N, D) of `crops`, in their order, not normalised.

    A camera that the network does not know is treated as unknown; so are all viewpoints.

    Raises:
        InputError: a crop cannot be read.
    """
    rows = np.array(camera_indices(crops, header.camera_names), np.int64)
    parts = []
    for start in range(0, len(crops), batch_size):
        images = [
            resize_image(read_rgb(crop.path), header.image_size, resize)
            for crop in crops.crops[start : start + batch_size]
        ]
        parts.append(backend.features(np.stack(images), rows[start : start + batch_size]))
    return np.concatenate(parts)
