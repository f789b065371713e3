"""SIGINT and SIGTERM end a run; a second one ends it immediately. SIGHUP reloads the configuration."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

# Exit code of a process that a signal ended: this plus the number of the signal.
_KILLED_BY = 128


class Signals:
    """Context manager; while it is active, signals set its events.

    Attributes:
        stop: end the run.
        reload: read the configuration again, and clear the event.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reload = threading.Event()
        self._before: dict[int, Any] = {}

    def wait(self, timeout_s: float) -> None:
        """Wait for `timeout_s`, or less if a signal stops the run."""
        # Only for `stop`: the handler of SIGHUP runs in this thread, at the latest when this short wait ends.
        self.stop.wait(timeout_s)

    def __enter__(self) -> Signals:
        self._before = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._on_stop),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._on_stop),
            signal.SIGHUP: signal.signal(signal.SIGHUP, self._on_reload),
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        if self.stop.is_set():
            os._exit(_KILLED_BY + number)
        self.stop.set()

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self.reload.set()
