"""Features of another network as a second opinion on who looks like whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.datasets import CropSet
from reid.peers import network_features


def teacher_features(model: Path, crops: CropSet, cache: Path) -> NDArray[np.float32]:
    """Embed all crops with an OpenVINO network, once before training.

    Args:
        cache: .npy file that keeps them for when the run is resumed.
        model: .xml file of a network that takes (N, 3, H, W) BGR pixels of 0..255 and returns (N, D), such as
            person-reidentification-retail-0286 of the Open Model Zoo.

    Returns:
        (N, D) float32 in the order of the crops, L2-normalised.

    Raises:
        InputError: OpenVINO is not installed, or the file is no such network.
    """
    if cache.exists():
        kept = np.load(cache)
        if len(kept) == len(crops):
            return np.asarray(kept, np.float32)
    features = network_features(model, crops, "bgr255", description="teacher")
    np.save(cache, features)
    return features
