"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], within_s: float, what: str = "") -> float:
    """Wait until `condition` holds; the seconds that took. AssertionError after `within_s`."""
    began_s = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - began_s
        if time.monotonic() - began_s > within_s:
            raise AssertionError(f"{what or 'it'} did not happen within {within_s} s")
        time.sleep(0.01)
