"""The transit times between cameras that the configuration allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.cross_camera.settings import TransitWindow


class TransitTimes:
    """Shortest and longest time from leaving one camera to entering another; (C, C) seconds, from row to column.

    A pair without a window is unrestricted. A window with a negative minimum allows cameras whose views overlap.
    """

    def __init__(self, camera_ids: Sequence[str], windows: Sequence[TransitWindow]) -> None:
        count = len(camera_ids)
        self.min_s: NDArray[np.float64] = np.full((count, count), -np.inf)
        self.max_s: NDArray[np.float64] = np.full((count, count), np.inf)
        self._earliest: dict[int, list[tuple[int, float]]] = {}
        self._latest: set[int] = set()
        row = {camera_id: index for index, camera_id in enumerate(camera_ids)}
        for window in windows:
            for start, end in window.directions:
                self.min_s[row[start], row[end]] = window.min_s
                self.max_s[row[start], row[end]] = window.max_s
                self._earliest.setdefault(row[end], []).append((row[start], window.min_s))
                self._latest.add(row[end])

    def earliest(self, camera: int) -> Sequence[tuple[int, float]]:
        """Return (row, shortest time) of the cameras from which a window leads to the camera of row `camera`."""
        return self._earliest.get(camera, ())

    @property
    def limited(self) -> bool:
        """Whether there is any window."""
        return bool(self._latest)

    def has_latest(self, camera: int) -> bool:
        """Return whether a window leads to the camera of row `camera`, so that a longest time may apply."""
        return camera in self._latest
