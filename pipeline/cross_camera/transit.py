"""Which moves between cameras the configured transit times allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.config import TransitWindow


class TransitTimes:
    """Shortest and longest time from leaving one camera to entering another; (C, C) seconds, from row to column.

    A pair without a window allows everything. A window with a negative minimum allows cameras that overlap.
    """

    def __init__(self, camera_ids: Sequence[str], windows: Sequence[TransitWindow]) -> None:
        count = len(camera_ids)
        self.min_s: NDArray[np.float64] = np.full((count, count), -np.inf)
        self.max_s: NDArray[np.float64] = np.full((count, count), np.inf)
        row = {camera_id: index for index, camera_id in enumerate(camera_ids)}
        for window in windows:
            a, b = row[window.from_camera], row[window.to_camera]
            for start, end in ((a, b),) if window.one_way else ((a, b), (b, a)):
                self.min_s[start, end], self.max_s[start, end] = window.min_s, window.max_s
