"""The clock of a live run: Unix seconds that never jump."""

from __future__ import annotations

import time
from typing import Protocol


class LiveClock(Protocol):
    """The time source of a live run; tests replace it."""

    def monotonic_s(self) -> float:
        """Return seconds of a monotonic clock, for ages and limits."""

    def utc_s(self, monotonic_s: float | None = None) -> float:
        """Return the Unix time in seconds at `monotonic_s`, or now."""


class HostClock:
    """The clock of this machine, read once at the start: setting it during the run has no effect."""

    def __init__(self) -> None:
        self._utc_at_zero_s = time.time() - time.monotonic()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_s(self, monotonic_s: float | None = None) -> float:
        return self._utc_at_zero_s + (time.monotonic() if monotonic_s is None else monotonic_s)
