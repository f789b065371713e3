"""The path of a track on the floor, sampled in time slots that all cameras share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Two cameras never take a frame at the same instant; inside one slot a walking person moves about 0.35 m.
SLOT_S = 0.25


def slot_of(time_s: float) -> int:
    """Return the number of the time slot that contains `time_s`."""
    return int(np.floor(time_s / SLOT_S))


class FloorPath:
    """Mean floor position of each time slot in which the person was seen.

    A path of more than `capacity` slots is thinned: it keeps its whole length, with fewer slots.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._stride = 1
        self._slots: list[int] = []
        self._sums: list[NDArray[np.float64]] = []
        self._counts: list[int] = []

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, time_s: float, xy_m: tuple[float, float]) -> None:
        """Add a position; its time must not lie before the newest slot."""
        slot = slot_of(time_s)
        if self._slots and self._slots[-1] == slot:
            self._sums[-1] = self._sums[-1] + np.asarray(xy_m)
            self._counts[-1] += 1
            return
        self._slots.append(slot)
        self._sums.append(np.array(xy_m, np.float64))
        self._counts.append(1)
        if len(self._slots) > self._capacity:
            self._thin()

    def _thin(self) -> None:
        """Keep the first of every `stride` slots, so that the paths of several cameras keep the same ones."""
        while True:
            buckets = np.array(self._slots) // self._stride
            keep = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1)).tolist()
            self._slots = [self._slots[row] for row in keep]
            self._sums = [self._sums[row] for row in keep]
            self._counts = [self._counts[row] for row in keep]
            if len(self._slots) <= self._capacity * 3 // 4:
                return
            self._stride *= 2

    @property
    def slots(self) -> NDArray[np.int64]:
        """(P,) ascending slot numbers."""
        return np.array(self._slots, np.int64)

    @property
    def xy_m(self) -> NDArray[np.float64]:
        """(P, 2) mean positions in metres."""
        if not self._slots:
            return np.zeros((0, 2))
        return np.asarray(np.stack(self._sums) / np.array(self._counts)[:, None])
