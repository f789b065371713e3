"""Cut boxes out of an image and resize them to crops of one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from pipeline.core.boxes import clip_xyxy
from pipeline.core.datatypes import BoolArray, FloatArray

#: Resizes a picture (h, w, 3) uint8 to (height, width): returns (1, 3, height, width) uint8, same channel order.
Resize = Callable[[NDArray[np.uint8], tuple[int, int]], Tensor]


def resize_antialiased(picture: NDArray[np.uint8], size_hw: tuple[int, int]) -> Tensor:
    """Resize bilinearly with antialiasing, as PIL and TransReID's test transforms do. Without it, small details of
    large crops alias, and embeddings differ from those that the weights were trained for."""
    # the copy is small; without it torch rejects read-only and mirrored arrays
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1).unsqueeze(0)
    return functional.interpolate(pixels, size=size_hw, mode="bilinear", align_corners=False, antialias=True)


def resize_opencv(picture: NDArray[np.uint8], size_hw: tuple[int, int]) -> Tensor:
    """Resize bilinearly without antialiasing (`cv2.resize`), as the publishers of third-party networks do."""
    resized: Any = cv2.resize(picture, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(resized).permute(2, 0, 1).unsqueeze(0)


def crop_boxes(
    image: NDArray[np.uint8], xyxy: FloatArray, size_hw: tuple[int, int], resize: Resize = resize_antialiased
) -> tuple[Tensor, BoolArray]:
    """Cut boxes out of an image and resize them.

    Args:
        image: (H, W, 3) uint8, BGR.
        xyxy: (N, 4) float32, in pixels of the image; parts outside the image are cut off.
        size_hw: (height, width) of the crops.
        resize: the same resizing as in the training of the network.

    Returns:
        crops: (K, 3, height, width) uint8, RGB, of the K valid boxes, in their order.
        valid: (N,) bool; False for a box that is not finite, or whose part inside the image is less than a pixel
            wide or high.
    """
    height, width = image.shape[:2]
    clipped = clip_xyxy(xyxy, (width, height))
    with np.errstate(invalid="ignore"):  # inf - inf of boxes that are rejected anyway
        extent = clipped[:, 2:] - clipped[:, :2]
        valid = np.asarray(np.isfinite(xyxy).all(axis=1) & (extent >= 1).all(axis=1), np.bool_)
    corners = np.floor(clipped[valid] + 0.5).astype(int)  # a box of at least a pixel keeps at least a pixel
    crops = [resize(image[top:bottom, left:right], size_hw) for left, top, right, bottom in corners.tolist()]
    if not crops:
        return torch.zeros((0, 3, *size_hw), dtype=torch.uint8), valid
    return torch.cat(crops).flip(1), valid  # BGR to RGB


def resize_image(image: Image.Image, size_hw: tuple[int, int], resize: Resize = resize_antialiased) -> Tensor:
    """Resize an RGB picture of one person (an image of a data set) as `crop_boxes` does: (3, height, width) uint8."""
    return resize(np.asarray(image), size_hw)[0]


def normalise(crops: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype) -> Tensor:
    """Convert crops (K, 3, H, W) uint8 RGB to the input of a model: (value / 255 - mean) / std per channel."""
    mean_value, std_value = (crops.new_tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in (mean, std))
    return ((crops.float() / 255 - mean_value) / std_value).to(dtype)
