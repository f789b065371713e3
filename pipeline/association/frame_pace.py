"""How fast a camera's frames follow one another, whatever gaps there are between some of them."""

from __future__ import annotations

from collections import deque
from statistics import median_low

# Of so many gaps the middle one counts: up to two of them may be pauses, or bursts.
_GAPS = 5


class FramePace:
    """The time between two frames of a camera, from its newest ones.

    Args:
        slowest_s: a longer gap counts as this; and so does the pace as long as only one frame is known.

    Attributes:
        last_s: time of the newest frame.
    """

    def __init__(self, first_s: float, slowest_s: float) -> None:
        self._slowest_s = slowest_s
        self._gaps_s: deque[float] = deque(maxlen=_GAPS)
        self.last_s = first_s

    def add(self, time_s: float) -> None:
        """Another frame, later than the one before."""
        self._gaps_s.append(min(time_s - self.last_s, self._slowest_s))
        self.last_s = time_s

    @property
    def period_s(self) -> float:
        """Seconds between two frames; a pause does not change it."""
        return median_low(self._gaps_s) if self._gaps_s else self._slowest_s
