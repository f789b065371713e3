"""Converts crops to model input for evaluation; `reid.training.augmentation` does so for training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from reid.crops import resize_image
from reid.normalise import normalise


class EvaluationTransform:
    """Converts an RGB image to (3, H, W) float32, resized and normalised as in `reid.embedder`; see `reid.crops`."""

    def __init__(self, size_hw: tuple[int, int], mean: Sequence[float], std: Sequence[float]) -> None:
        self._size_hw = size_hw
        self._mean, self._std = mean, std

    def __call__(self, image: Image.Image) -> Tensor:
        pixels = torch.from_numpy(resize_image(image, self._size_hw))
        return normalise(pixels.unsqueeze(0), self._mean, self._std, torch.float32).squeeze(0)
