"""Boxes of an image to crops of one size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as tv_functional

from pipeline.boxes import clip_xyxy
from pipeline.datatypes import BoolArray, FloatArray


def crop_boxes(image: NDArray[np.uint8], xyxy: FloatArray, size_hw: tuple[int, int]) -> tuple[Tensor, BoolArray]:
    """Cut boxes out of an image and resize them.

    The resize is bilinear with antialiasing, as PIL's and the published test transforms' is: without it, small
    features of large crops alias, and embeddings differ from those that the weights were trained for.

    Args:
        image: (H, W, 3) uint8, BGR.
        xyxy: (N, 4) float32, pixels of the image; what reaches outside the image is cut off.
        size_hw: (height, width) of the crops.

    Returns:
        crops: (K, 3, height, width) uint8, RGB, of the K boxes that show something, in their order.
        valid: (N,) bool; False for a box that is not finite, or is less than a pixel wide or high inside the
            image.
    """
    height, width = image.shape[:2]
    clipped = clip_xyxy(xyxy, (width, height))
    with np.errstate(invalid="ignore"):  # inf - inf of boxes that are rejected anyway
        extent = clipped[:, 2:] - clipped[:, :2]
        valid = np.asarray(np.isfinite(xyxy).all(axis=1) & (extent >= 1).all(axis=1), np.bool_)
    corners = np.floor(clipped[valid] + 0.5).astype(int)  # at least a pixel remains at least a pixel
    crops = [_resize(image[top:bottom, left:right], size_hw) for left, top, right, bottom in corners.tolist()]
    if not crops:
        return torch.zeros((0, 3, *size_hw), dtype=torch.uint8), valid
    return torch.cat(crops).flip(1), valid  # BGR to RGB


def resize_image(image: Image.Image, size_hw: tuple[int, int]) -> Tensor:
    """An RGB picture of one person, as data sets hold them, to (3, height, width) uint8, scaled as by `crop_boxes`."""
    resized: Tensor = tv_functional.resize(tv_functional.pil_to_tensor(image), list(size_hw), antialias=True)
    return resized


def _resize(crop: NDArray[np.uint8], size_hw: tuple[int, int]) -> Tensor:
    """(h, w, 3) uint8 to (1, 3, height, width) uint8."""
    # the copy is small, and torch accepts no read-only or mirrored array without it
    pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1).unsqueeze(0)
    return functional.interpolate(pixels, size=size_hw, mode="bilinear", align_corners=False, antialias=True)


def normalise(crops: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype) -> Tensor:
    """Crops (K, 3, H, W) uint8 RGB to the input of a model: (value / 255 - mean) / std per channel."""
    mean_value, std_value = (crops.new_tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in (mean, std))
    return ((crops.float() / 255 - mean_value) / std_value).to(dtype)
