"""The part of the floor that a plan shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray

_MARGIN_M = 1.0
_SQUARES_M = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_MOST_SQUARES = 15
# Positions far outside the area of most others are errors; they would make everything else tiny.
_AREA_PERCENT = (3, 97)
_LARGEST_GROWTH = 1.5


@dataclass(frozen=True)
class FloorArea:
    """A rectangle of the floor; x grows to the right and y downwards.

    Attributes:
        left, top, width, height: in metres, with a margin around the positions.
        square_m: width of a grid square.
    """

    left: float
    top: float
    width: float
    height: float
    square_m: float

    def holds(self, xy_m: NDArray[np.float64]) -> BoolArray:
        """Return for each of the (N, 2) positions whether it is inside, without the margin."""
        low = np.array([self.left, self.top]) + _MARGIN_M
        high = np.array([self.left + self.width, self.top + self.height]) - _MARGIN_M
        rounding_m = 1e-6
        return np.asarray(((xy_m >= low - rounding_m) & (xy_m <= high + rounding_m)).all(axis=1), np.bool_)


def floor_area(xy_m: NDArray[np.float64]) -> FloorArea:
    """Return the area of most of the (N, 2) positions in metres, N at least 1."""
    low, high = xy_m.min(axis=0), xy_m.max(axis=0)
    core_low, core_high = np.percentile(xy_m, _AREA_PERCENT, axis=0)
    room = np.maximum(_LARGEST_GROWTH * (core_high - core_low) - (core_high - core_low), _MARGIN_M)
    low, high = np.maximum(low, core_low - room), np.minimum(high, core_high + room)
    left, top = (float(value) for value in low - _MARGIN_M)
    width, height = (float(value) for value in high - low + 2 * _MARGIN_M)
    longest = max(width, height)
    square_m = next(
        (square for square in _SQUARES_M if longest / square <= _MOST_SQUARES), longest / _MOST_SQUARES
    )
    return FloorArea(left, top, width, height, square_m)
