"""Maps pixels of one camera to the floor with a homography."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError

# Smallest volume of three independent unit vectors: rounding gives dependent ones 1e-16, while map coordinates far from
# their origin lead to volumes of 1e-11.
_SMALLEST_VOLUME = 1e-14


class FloorHomography:
    """Maps image points to the floor plane.

    Args:
        camera_id: for messages.
        matrix: 3x3, pixel (x, y, 1) -> floor (x, y, 1) in metres, up to scale.
        size_wh: of the image; the middle of its lower border is assumed to show the floor, which determines the
            floor's side of the horizon.

    Raises:
        InputError: the matrix cannot be inverted.
    """

    def __init__(self, camera_id: str, matrix: Sequence[Sequence[float]], size_wh: tuple[int, int]) -> None:
        self._matrix = np.array(matrix, np.float64)
        self.size_wh = size_wh
        width, height = size_wh
        if self._matrix.shape != (3, 3) or not _invertible(self._matrix * (width, height, 1)):
            raise InputError(f"camera {camera_id}: homography must be an invertible 3x3 matrix, but is {matrix}")
        self._floor_side = np.sign(self._matrix[2] @ np.array([width / 2, height, 1.0]))

    def to_floor(self, points_px: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map (N, 2) image points to (N, 2) floor positions in metres; NaN for points on or above the horizon."""
        projected = np.column_stack([points_px, np.ones(len(points_px))]) @ self._matrix.T
        below_horizon = projected[:, 2] * self._floor_side > 0
        scale = np.where(below_horizon, projected[:, 2], np.nan)
        return np.asarray(projected[:, :2] / scale[:, None])


def _invertible(matrix: NDArray[np.float64]) -> bool:
    """Return whether the rows are independent, whatever their lengths: map coordinates may be 10^6 metres."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return bool((lengths > 0).all()) and abs(np.linalg.det(matrix / lengths)) > _SMALLEST_VOLUME
