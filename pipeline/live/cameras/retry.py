"""Decides when to try to connect again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pipeline.live.cameras.problem import Reason

# Attempts are spread by up to this share, so that many cameras behind one switch do not reconnect in step.
_JITTER = 0.2
# After a connection that lasted this long, waiting times start from the shortest again.
_STABLE_S = 10.0


@dataclass(frozen=True)
class RetryTimes:
    """Seconds between the starts of two attempts; see `live` in configs/default.yaml."""

    min_s: float
    max_s: float
    denied_s: float


class RetrySchedule:
    """Exponential waiting times with jitter, for one camera.

    They count from the start of an attempt. An attempt may itself take long, for example because the host does not
    answer. The next one then follows after the shortest wait, so that a camera that is back is reached soon. A camera
    that has never worked is tried as often as any other: after a restart of the program, none has worked yet.
    """

    def __init__(self, times: RetryTimes, rng: random.Random) -> None:
        self._times = times
        self._rng = rng
        self._failures = 0
        self._denials = 0

    def succeeded(self, lasted_s: float) -> None:
        """Report a connection that has delivered pictures for `lasted_s` seconds."""
        self._denials = 0
        if lasted_s >= _STABLE_S:
            self._failures = 0

    def wait_s(self, reason: Reason, attempt_took_s: float) -> float:
        """Return the seconds to wait from now, after an attempt or a connection that ended for `reason`.

        Args:
            attempt_took_s: duration of the attempt in s; 0 for a connection that delivered pictures.
        """
        times = self._times
        if reason is Reason.DENIED:
            self._denials += 1
            step_s = min(times.max_s * 4.0 ** (self._denials - 1), times.denied_s)
        else:
            step_s = min(times.min_s * 2.0**self._failures, times.max_s)
            self._failures = min(self._failures + 1, 30)
        spread = 1 - _JITTER * self._rng.random()
        return max(step_s * spread - attempt_took_s, times.min_s)
