"""Decides whether the detector has to search a frame: a camera that shows nobody and in which nothing moves can wait.

The decision depends on the frames and on what was found in earlier ones alone, so that a run gives the same result
whether detection runs ahead of tracking or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Pictures are compared at this width, in blocks of this many pixels: a person 40 px high in a picture of 1280 px still
# covers half of a block.
_WIDTH_PX = 160
_BLOCK_PX = 4
# What the detector has searched in vain, such as other light or a moved chair, becomes background within seconds. While
# people are in view it hardly changes, so that they do not become a part of it.
_EMPTY_S = 2.0
_OCCUPIED_S = 60.0
# A block that always changes, such as leaves or a screen, has to change by this many times its usual change.
_NOISE_FACTOR = 3.0
_NOISE_S = 5.0


@dataclass(frozen=True)
class GateSettings:
    """When a frame is searched.

    Attributes:
        interval_s: a frame is searched if the last search was this long ago, whatever it shows.
        min_change: mean change of a block against the background that counts as motion, in grey levels of 255.
        hold_s: all frames are searched until this long after the last box that can belong to a track. It must be longer
            than a track lives without a box.
        start_confidence: confidence from which a box can start a track.
        keep_confidence: confidence from which a box can continue one.
    """

    interval_s: float
    min_change: float
    hold_s: float
    start_confidence: float
    keep_confidence: float


class MotionGate:
    """The gate of one camera. Frames come in order of time; each that needs a search is followed by `searched`."""

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._background: NDArray[np.float32] | None = None
        self._noise = np.zeros((0, 0), np.float32)  # usual change of each block, in grey levels
        self._last_s = -math.inf
        self._searched_s = -math.inf
        self._occupied_until_s = -math.inf

    def needs_search(self, image: NDArray[np.uint8], time_s: float) -> bool:
        """Return whether the detector has to search this frame.

        Args:
            image: (H, W, 3) uint8, BGR; the size may change, and the frame is then searched.
            time_s: of the frame, on the clock of the camera; if it is not later than the frame before, it is searched.
        """
        luma = _small_luma(image)
        if self._background is None or self._background.shape != luma.shape or not time_s > self._last_s:
            self._background = luma
            self._noise = np.zeros(_blocks(luma).shape, np.float32)
            self._last_s = time_s
            self._searched_s = -math.inf
            self._occupied_until_s = -math.inf
            return True
        passed_s, self._last_s = time_s - self._last_s, time_s
        change = _blocks(np.abs(luma - self._background))
        limit = np.maximum(self._settings.min_change, _NOISE_FACTOR * self._noise)
        moves = bool((change > limit).any())
        occupied = time_s <= self._occupied_until_s
        self._background += _share(passed_s, _OCCUPIED_S if occupied else _EMPTY_S) * (luma - self._background)
        if not occupied:
            usual = np.minimum(change, limit)  # light that is switched once must not hide who enters afterwards
            self._noise += _share(passed_s, _NOISE_S) * (usual - self._noise)
        return moves or occupied or time_s - self._searched_s >= self._settings.interval_s

    def searched(self, time_s: float, confidence: NDArray[np.float32]) -> None:
        """Note what the detector found.

        Args:
            time_s: of the frame that was searched.
            confidence: (N,) of its boxes.
        """
        self._searched_s = time_s
        settings = self._settings
        occupied = time_s <= self._occupied_until_s
        if (confidence >= (settings.keep_confidence if occupied else settings.start_confidence)).any():
            self._occupied_until_s = time_s + settings.hold_s


def _small_luma(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the luma (h, w) float32, 0..255, of a picture reduced to a width of at most 160 px."""
    step = max(1, image.shape[1] // (2 * _WIDTH_PX))  # twice the width is left, and is averaged
    grey = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_BGR2GRAY)
    scale = min(1.0, _WIDTH_PX / grey.shape[1])
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each block."""
    height, width = values.shape
    size = (max(1, width // _BLOCK_PX), max(1, height // _BLOCK_PX))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _share(passed_s: float, constant_s: float) -> float:
    """Return the share by which a mean with this time constant moves to a new value."""
    return 1.0 - math.exp(-passed_s / constant_s)
