"""Measures for how long a camera's picture has not changed: an encoder that hangs keeps sending the same one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Interval of the comparisons, and number of cells (width, height) whose mean brightness is compared.
INTERVAL_S = 1.0
_CELLS_WH = (64, 36)
# Out of 255. The flicker of codecs in a still picture is smaller; a person who fills much of a cell changes it by more.
_LEAST_CHANGE = 3


class StillPicture:
    """Compares the pictures of one camera with the first one since the last change."""

    def __init__(self) -> None:
        self._first: NDArray[np.int16] | None = None
        self._since_s = 0.0
        self._measured_s = float("-inf")

    def is_due(self, now_s: float) -> bool:
        """Return whether the next picture must be compared."""
        return now_s - self._measured_s >= INTERVAL_S

    def measure(self, luma: NDArray[np.uint8], now_s: float) -> float:
        """Return the seconds since the picture last changed.

        Args:
            luma: (H, W) uint8.
            now_s: time on the monotonic clock in s.
        """
        self._measured_s = now_s
        cells = cv2.resize(luma, _CELLS_WH, interpolation=cv2.INTER_AREA).astype(np.int16)
        if self._first is None or np.abs(cells - self._first).max() >= _LEAST_CHANGE:
            self._first, self._since_s = cells, now_s
        return now_s - self._since_s
