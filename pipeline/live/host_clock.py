"""The clock of a live run: Unix seconds that do not run back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

# Differences up to this size are the slow corrections of a time server, which a run ignores.
_STEP_S = 1.0
# Interval between two comparisons with the machine's clock.
_CHECK_S = 1.0
#: 2020-01-01: an earlier time is that of a machine that does not know the time yet.
PLAUSIBLE_S = 1_577_836_800.0

_log = logging.getLogger(__name__)


class LiveClock(Protocol):
    """The time source of a live run; tests replace it."""

    def monotonic_s(self) -> float:
        """Return seconds of a monotonic clock, for ages and limits."""

    def utc_s(self, monotonic_s: float | None = None) -> float:
        """Return the Unix time in seconds at `monotonic_s`, or now."""

    @property
    def set_by_s(self) -> float:
        """Seconds by which the clock was set forward since the start of the run."""

    @property
    def ahead_s(self) -> float:
        """Seconds by which this clock is ahead of the machine's, because that was set back; 0 if it was not."""

    def follow(self) -> None:
        """Follow the machine's clock; called regularly, from one thread."""


class _State(NamedTuple):
    """Replaced as a whole, because all threads read the clock."""

    utc_at_zero_s: float
    set_by_s: float


class HostClock:
    """The clock of this machine.

    If the machine's clock is set forward, this clock follows, so that rows have the right time when a machine that
    started with a wrong time gets the right one. If it is set back, this clock stays ahead until a restart, because the
    times of rows must rise; `ahead_s` says by how much.

    Args:
        machine_s: returns the Unix time of the machine.
        monotonic_s: returns its monotonic time.
    """

    def __init__(
        self, machine_s: Callable[[], float] = time.time, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._machine_s = machine_s
        self._monotonic_s = monotonic_s
        self._state = _State(machine_s() - monotonic_s(), 0.0)
        self._checked_s = monotonic_s()
        self._ahead_s = 0.0
        if machine_s() < PLAUSIBLE_S:
            _log.warning("the clock of this machine is wrong (before 2020); set it, or use a time server")

    def monotonic_s(self) -> float:
        return self._monotonic_s()

    def utc_s(self, monotonic_s: float | None = None) -> float:
        return self._state.utc_at_zero_s + (self._monotonic_s() if monotonic_s is None else monotonic_s)

    @property
    def set_by_s(self) -> float:
        return self._state.set_by_s

    @property
    def ahead_s(self) -> float:
        return self._ahead_s

    def follow(self) -> None:
        now_s = self._monotonic_s()
        if now_s - self._checked_s < _CHECK_S:
            return
        self._checked_s = now_s
        step_s = self._machine_s() - self._monotonic_s() - self._state.utc_at_zero_s
        if step_s > _STEP_S:
            self._state = _State(self._state.utc_at_zero_s + step_s, self._state.set_by_s + step_s)
            _log.warning(
                "the clock of this machine was set forward by %.1f s; rows have the new time from now on", step_s
            )
        ahead_s = -step_s if step_s < -_STEP_S else 0.0
        if ahead_s and abs(ahead_s - self._ahead_s) > _STEP_S:
            _log.error(
                "the clock of this machine was set back by %.1f s since the start; the times of rows stay ahead by "
                "that, because they must rise. Restart the run for the new time",
                ahead_s,
            )
        self._ahead_s = ahead_s
