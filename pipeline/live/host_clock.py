"""The clock of a live run: Unix seconds that never jump."""

from __future__ import annotations

import time
from typing import Protocol


class LiveClock(Protocol):
    """Time for everything in a live run; a test can turn it."""

    def monotonic_s(self) -> float:
        """Seconds of a clock that only runs forward, for ages and limits."""

    def utc_s(self, monotonic_s: float | None = None) -> float:
        """Unix seconds of that moment, or of now."""


class HostClock:
    """This machine's clock, read once: when somebody sets it, the run goes on evenly."""

    def __init__(self) -> None:
        self._utc_at_zero_s = time.time() - time.monotonic()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_s(self, monotonic_s: float | None = None) -> float:
        return self._utc_at_zero_s + (time.monotonic() if monotonic_s is None else monotonic_s)
