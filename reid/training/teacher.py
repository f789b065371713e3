"""Features of another network as a second opinion on who looks like whom."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from pipeline.errors import InputError
from reid.datasets import CropSet, read_rgb

_BATCH = 16


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
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise InputError("a teacher needs the package openvino: pip install openvino") from error
    core = openvino.Core()
    try:
        network = core.read_model(str(model))
        _, channels, height, width = network.input(0).partial_shape.get_max_shape()
        network.reshape([-1, channels, height, width])
        compiled = core.compile_model(network, "CPU")
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{model} cannot be used as a teacher: {' '.join(str(error).split())}") from error
    features = []
    starts = range(0, len(crops.crops), _BATCH)
    for start in track(starts, description="teacher"):
        images = [
            cv2.resize(
                np.asarray(read_rgb(crop.path))[:, :, ::-1], (width, height), interpolation=cv2.INTER_LINEAR
            )
            for crop in crops.crops[start : start + _BATCH]
        ]
        batch = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32)
        features.append(np.asarray(compiled(batch)[0]).reshape(len(images), -1))
    stacked = np.concatenate(features).astype(np.float32)
    unit = np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True), np.float32)
    np.save(cache, unit)
    return unit
