"""Converts pictures with more than 8 bits per value to 8 bits, with one scale for a whole recording.

Thermal cameras use a small part of their 16 bits; the upper 8 bits of such pictures are nearly one grey value.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The darkest and the brightest values are outliers: dead pixels, the sun.
_PERCENTILES = (0.1, 99.9)
# Pixels that are looked at per picture; more do not change the percentiles.
_LOOKED_AT = 20_000
# 16-bit pictures that use more than this share of their range are ordinary pictures.
_ORDINARY_SHARE = 0.5

_log = logging.getLogger(__name__)


class GreyLevels:
    """The range of values that is shown as 0 to 255; it grows while pictures are added, and never shrinks.

    Args:
        name: of the recording, for the warning that says which range is used.
        warn: takes the warning, once.
    """

    def __init__(self, name: str, warn: Callable[[str], None] = _log.warning) -> None:
        self._name = name
        self._warn = warn
        self._low, self._high = np.inf, -np.inf
        self._warned = False

    def add(self, image: NDArray[Any]) -> None:
        """Let the range contain the values of an image (H, W) or (H, W, 3); those that are not finite do not count."""
        step = max(math.isqrt(image.shape[0] * image.shape[1] // _LOOKED_AT), 1)
        values = image[::step, ::step]
        values = values[np.isfinite(values)]
        if len(values):
            low, high = np.percentile(values, _PERCENTILES)
            self._low, self._high = min(self._low, float(low)), max(self._high, float(high))

    def to_8_bit(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the image with its values as uint8; values outside the range become 0 or 255."""
        low, high = self._range(image.dtype)
        if not self._warned:
            self._warned = True
            self._warn(
                f"{self._name} has pictures of type {image.dtype}: the values {low:g} to {high:g} are shown as 0 to 255"
            )
        finite = np.nan_to_num(image.astype(np.float32), nan=low, posinf=high, neginf=low)
        scaled = (finite - low) * (255 / (high - low))
        return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)

    def _range(self, dtype: np.dtype[Any]) -> tuple[float, float]:
        if np.issubdtype(dtype, np.integer):
            whole = np.iinfo(dtype)
            if not self._low <= self._high or self._high - self._low > _ORDINARY_SHARE * whole.max:
                return float(whole.min), float(whole.max)
        if not self._low < self._high:
            low = self._low if np.isfinite(self._low) else 0.0
            return low, low + 1.0
        return self._low, self._high
