"""Measures how long a part of the run has been working on one task, and reports parts that do not return."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

_log = logging.getLogger(__name__)


class BusyTimer:
    """Used by the thread that works; read by any thread."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Mark the block as one task."""
        self._since_s = time.monotonic()
        try:
            yield
        finally:
            self._since_s = None

    @property
    def busy_s(self) -> float:
        """Seconds since the current task began; 0 between tasks."""
        since_s = self._since_s
        return 0.0 if since_s is None else time.monotonic() - since_s


class StuckParts:
    """Logs each part that takes too long, and its return.

    Args:
        parts: for each part, by name, a function that returns the seconds for which its task has taken so far.
        after_s: a part is stuck after this time.
    """

    def __init__(self, parts: Mapping[str, Callable[[], float]], after_s: float) -> None:
        self._parts = parts
        self._after_s = after_s
        self._told: set[str] = set()

    def stuck_s(self) -> dict[str, float]:
        """Return the parts that are stuck, and for how many seconds."""
        busy = {name: busy_s() for name, busy_s in self._parts.items()}
        return {name: seconds for name, seconds in busy.items() if seconds >= self._after_s}

    def tell(self) -> None:
        """Log changes since the last call; call it from one thread."""
        stuck = self.stuck_s()
        for name in stuck.keys() - self._told:
            _log.error("%s", stuck_text(name, stuck[name]))
        for name in self._told - stuck.keys():
            _log.warning("%s works again", name)
        self._told = set(stuck)


def stuck_text(name: str, seconds: float) -> str:
    """Return 'the detector has not returned for 12 s'."""
    return f"{name} has not returned for {seconds:.0f} s"


def run_within(work: Callable[[], object], within_s: float, name: str) -> bool:
    """Run `work` in a thread of its own; return whether it ended in time. Otherwise it goes on, and nobody waits.

    Raises:
        BaseException: what `work` raised.
    """
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    thread.join(within_s)
    if raised:
        raise raised[0]
    return not thread.is_alive()
