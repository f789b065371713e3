"""Fit frames into the input of a detector and scale its boxes back, exactly as Ultralytics' predictor does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray

_GREY = (114, 114, 114)
# uint8 -> [0, 1]; a division, because multiplying by 1 / 255 gives other last bits.
_UNIT = np.arange(256, dtype=np.float32) / np.float32(255)


class Letterbox(NamedTuple):
    """How a frame fits into an input: it is scaled to `resized_wh` and padded on all sides, in pixels."""

    resized_wh: tuple[int, int]
    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, frame_hw: tuple[int, int], input_hw: tuple[int, int], *, stride: int, minimal: bool) -> Letterbox:
        """Return the letterbox of frames of one size.

        Args:
            minimal: pad only to the next multiples of `stride`, for a network that takes any size.
        """
        ratio = min(input_hw[0] / frame_hw[0], input_hw[1] / frame_hw[1])
        width, height = max(round(frame_hw[1] * ratio), 1), max(round(frame_hw[0] * ratio), 1)
        across, down = input_hw[1] - width, input_hw[0] - height
        if minimal:
            across, down = across % stride, down % stride
        # A rest of one pixel goes to the bottom and to the right.
        return cls(
            (width, height),
            round(down / 2 - 0.1),
            round(down / 2 + 0.1),
            round(across / 2 - 0.1),
            round(across / 2 + 0.1),
        )

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) of the padded picture."""
        return self.top + self.resized_wh[1] + self.bottom, self.left + self.resized_wh[0] + self.right


def network_input(images: Sequence[NDArray[np.uint8]], box: Letterbox) -> NDArray[np.float32]:
    """Return frames (H, W, 3) uint8 BGR of one size as (N, 3, h, w) float32 RGB from 0 to 1."""
    pixels = np.empty((len(images), 3, *box.input_hw), np.float32)
    for row, image in enumerate(images):
        picture: Any = image
        if picture.shape[1::-1] != box.resized_wh:
            picture = cv2.resize(picture, box.resized_wh, interpolation=cv2.INTER_LINEAR)
        picture = cv2.copyMakeBorder(
            picture, box.top, box.bottom, box.left, box.right, cv2.BORDER_CONSTANT, value=_GREY
        )
        for channel, plane in enumerate(cv2.split(picture)[::-1]):
            cv2.LUT(plane, _UNIT, dst=pixels[row, channel])
    return pixels


def scale_back(xyxy: FloatArray, input_hw: tuple[int, int], frame_hw: tuple[int, int]) -> FloatArray:
    """Return boxes (N, 4) float32 of the padded input in pixels of the frame, clipped to it."""
    height, width = frame_hw
    gain = min(input_hw[0] / height, input_hw[1] / width)
    resized_hw = max(round(height * gain), 1), max(round(width * gain), 1)
    boxes = xyxy.copy()
    for axis, (length, resized, padded) in enumerate(
        ((width, resized_hw[1], input_hw[1]), (height, resized_hw[0], input_hw[0]))
    ):
        sides = boxes[:, axis::2]
        sides -= round((padded - resized) / 2 - 0.1)
        sides /= resized / length
        np.clip(sides, 0, length, out=sides)
    return boxes
