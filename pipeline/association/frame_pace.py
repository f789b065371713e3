"""Estimates the frame period of a camera; pauses do not distort it."""

from __future__ import annotations

from collections import deque
from statistics import median_low

# The median of this many gaps is used: up to two of them may be pauses, or bursts.
_GAPS = 5


class FramePace:
    """The frame period of a camera, estimated from its newest frames.

    Args:
        first_s: time of the first frame.
        slowest_s: longest period; longer gaps count as this. It is also the period while only one frame is known.

    Attributes:
        last_s: time of the newest frame.
    """

    def __init__(self, first_s: float, slowest_s: float) -> None:
        self._slowest_s = slowest_s
        self._gaps_s: deque[float] = deque(maxlen=_GAPS)
        self.last_s = first_s

    def add(self, time_s: float) -> None:
        """Add a frame, later than the previous one."""
        self._gaps_s.append(min(time_s - self.last_s, self._slowest_s))
        self.last_s = time_s

    @property
    def period_s(self) -> float:
        """Seconds between two frames; a pause does not change it."""
        return median_low(self._gaps_s) if self._gaps_s else self._slowest_s
