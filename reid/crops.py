"""Cut boxes out of an image and resize them to crops of one size. Nothing here needs torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.core.boxes import clip_xyxy
from pipeline.core.datatypes import BoolArray, FloatArray
from reid.antialiasing import resize_bytes

#: Resizes a picture (h, w, 3) uint8 to (height, width): returns (3, height, width) uint8, same channel order.
Resize = Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]


def resize_antialiased(picture: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize bilinearly with antialiasing, as PIL and TransReID's test transforms do. Without it, small details of
    large crops alias, and embeddings differ from those that the weights were trained for.

    Where the program has loaded torch, torch's own function is used: it is faster, and gives the same bytes.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return resize_bytes(picture, size_hw).transpose(2, 0, 1)
    # the copy is small; without it torch rejects read-only and mirrored arrays
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1).unsqueeze(0)
    resized = torch.nn.functional.interpolate(
        pixels, size=size_hw, mode="bilinear", align_corners=False, antialias=True
    )
    pixels_of_crop: NDArray[np.uint8] = resized[0].numpy()
    return pixels_of_crop


def resize_opencv(picture: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize bilinearly without antialiasing (`cv2.resize`), as the publishers of third-party networks do."""
    resized: Any = cv2.resize(picture, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    pixels: NDArray[np.uint8] = resized.transpose(2, 0, 1)
    return pixels


def crop_boxes(
    image: NDArray[np.uint8], xyxy: FloatArray, size_hw: tuple[int, int], resize: Resize = resize_antialiased
) -> tuple[NDArray[np.uint8], BoolArray]:
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
    crops = np.empty((len(corners), 3, *size_hw), np.uint8)
    for crop, (left, top, right, bottom) in zip(crops, corners.tolist(), strict=True):
        crop[:] = resize(image[top:bottom, left:right], size_hw)[::-1]  # BGR to RGB
    return crops, valid


def resize_image(
    image: Image.Image, size_hw: tuple[int, int], resize: Resize = resize_antialiased
) -> NDArray[np.uint8]:
    """Resize an RGB picture of one person (an image of a data set) as `crop_boxes` does: (3, height, width) uint8."""
    return resize(np.asarray(image), size_hw)


def normalised(crops: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Convert crops (K, 3, H, W) uint8 RGB to the input of a model: (value / 255 - mean) / std per channel."""
    value = np.arange(256, dtype=np.float32) / np.float32(255)
    pixels = np.empty(crops.shape, np.float32)
    for channel in range(3):
        table = (value - np.float32(mean[channel])) / np.float32(std[channel])
        pixels[:, channel] = table[crops[:, channel]]
    return pixels
