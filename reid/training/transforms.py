"""Crops to model input: augmentation in training, plain resizing in evaluation.

All randomness comes from the generator that is handed in, so that a sample is the same in every process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from reid.crops import normalise, resize_image
from reid.training.config import AugmentationConfig

_ERASE_AREA = (0.02, 1 / 3)  # share of the image; Zhong et al., Random Erasing Data Augmentation, AAAI 2020
_ERASE_ASPECT = (0.3, 1 / 0.3)  # height / width
_ERASE_TRIES = 10


class EvaluationTransform:
    """RGB image to (3, H, W) float32, resized and normalised as `reid.embedder` does it (`reid.crops`)."""

    def __init__(self, size_hw: tuple[int, int], mean: Sequence[float], std: Sequence[float]) -> None:
        self._size_hw = size_hw
        self._mean, self._std = mean, std

    def __call__(self, image: Image.Image) -> Tensor:
        pixels = resize_image(image, self._size_hw)
        return _normalised(pixels, self._mean, self._std)


class TrainingTransform:
    """RGB image and generator to (3, H, W) float32.

    Resize bicubic, horizontal flip, zero padding and random crop, colour jitter, normalisation, random erasing
    with N(0, 1) noise: the order of TransReID's released training, with colour jitter before normalisation.
    """

    def __init__(
        self,
        size_hw: tuple[int, int],
        mean: Sequence[float],
        std: Sequence[float],
        augmentation: AugmentationConfig,
    ) -> None:
        self._size_hw = size_hw
        self._mean, self._std = mean, std
        self._augmentation = augmentation

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        switches = self._augmentation
        height, width = self._size_hw
        image = functional.resize(image, [height, width], InterpolationMode.BICUBIC, antialias=True)
        if rng.random() < switches.flip_probability:
            image = functional.hflip(image)
        if switches.pad_px:
            left, top = rng.integers(0, 2 * switches.pad_px + 1, size=2).tolist()
            image = functional.crop(functional.pad(image, [switches.pad_px]), top, left, height, width)
        image = self._colour_jitter(image, rng)
        pixels = _normalised(functional.pil_to_tensor(image), self._mean, self._std)
        if rng.random() < switches.erasing_probability:
            erase_rectangle(pixels, rng)
        return pixels

    def _colour_jitter(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        switches = self._augmentation
        factors = 1.0 + rng.uniform(-1, 1, size=3) * (
            switches.brightness_jitter,
            switches.contrast_jitter,
            switches.saturation_jitter,
        )
        hue = float(rng.uniform(-1, 1)) * switches.hue_jitter
        if switches.brightness_jitter:
            image = functional.adjust_brightness(image, float(factors[0]))
        if switches.contrast_jitter:
            image = functional.adjust_contrast(image, float(factors[1]))
        if switches.saturation_jitter:
            image = functional.adjust_saturation(image, float(factors[2]))
        if switches.hue_jitter:
            image = functional.adjust_hue(image, hue)
        return image


def erase_rectangle(pixels: Tensor, rng: np.random.Generator) -> None:
    """Fill one random rectangle of `pixels` (3, H, W) with N(0, 1) noise, in place.

    2 % to 33 % of the area, height / width log-uniform in 0.3 to 3.3; nothing when none fits in ten tries.
    """
    _, height, width = pixels.shape
    for _ in range(_ERASE_TRIES):
        area = rng.uniform(*_ERASE_AREA) * height * width
        aspect = math.exp(rng.uniform(math.log(_ERASE_ASPECT[0]), math.log(_ERASE_ASPECT[1])))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            noise = rng.standard_normal((3, h, w), dtype=np.float32)
            pixels[:, top : top + h, left : left + w] = torch.from_numpy(noise)
            return


def _normalised(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    return normalise(pixels.unsqueeze(0), mean, std, torch.float32).squeeze(0)
