"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

# A busy machine may keep a process, or one of its threads, from working for so long now and then.
HICCUP_S = 2.0


def eventually(condition: Callable[[], object], within_s: float, what: str = "") -> float:
    """Wait until `condition` holds; the seconds that took. AssertionError if it does not hold after `within_s`."""
    began_s = time.monotonic()
    while True:
        now_s = time.monotonic()  # before the look, so that there is one after the deadline in any case
        if condition():
            return time.monotonic() - began_s
        if now_s - began_s > within_s:
            raise AssertionError(f"{what or 'it'} did not happen within {within_s} s")
        time.sleep(0.01)
