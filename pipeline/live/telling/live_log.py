"""The log of a live run: written by a thread of its own, so that a log that nobody reads stops nothing."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.logging import RichHandler

from pipeline.core.errors import InputError

# Records that may wait for a reader that is stopped, for example by Ctrl-S.
_WAITING = 10_000
_CLOSE_S = 0.5
_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class LiveLog:
    """Context manager; while it is active, the handler of the command line is replaced.

    A terminal gets the time of day, any other reader whole lines with UTC. Records that cannot be written, because the
    reader is dead or too many wait, are counted, and the number is logged as soon as that is possible.

    Args:
        console: the one that also shows the table of cameras, so that table and messages do not overwrite each other.
    """

    def __init__(self, console: Console) -> None:
        self._target: logging.Handler = _Rich(console) if console.is_terminal else _Plain()
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(_WAITING)
        self._entry = _Entry(self)
        self._replaced: list[logging.Handler] = []
        self._lost = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def __enter__(self) -> LiveLog:
        root = logging.getLogger()
        self._replaced = [handler for handler in root.handlers if isinstance(handler, RichHandler)]
        if self._replaced:
            for handler in self._replaced:
                root.removeHandler(handler)
                for each in handler.filters:
                    self._entry.addFilter(each)
            root.addHandler(self._entry)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        root = logging.getLogger()
        root.removeHandler(self._entry)
        for handler in self._replaced:
            root.addHandler(handler)
        if not self.close():
            # The normal end of Python would wait for the reader of the log.
            os._exit(0 if error is None else 2 if isinstance(error, InputError) else 1)

    def put(self, record: logging.LogRecord) -> None:
        """Queue a record; never blocks."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._count_lost(1)

    def close(self, within_s: float = _CLOSE_S) -> bool:
        """Write what waits, and return whether that was possible in time."""
        until_s = time.monotonic() + within_s
        try:
            self._queue.put(None, timeout=within_s)
        except queue.Full:
            return False
        self._thread.join(max(until_s - time.monotonic(), 0.0))
        return not self._thread.is_alive()

    def _write(self) -> None:
        while (record := self._queue.get()) is not None:
            lost = self._lost
            if lost and self._wrote(_lost_record(lost)):
                self._count_lost(-lost)
            if not self._wrote(record):
                self._count_lost(1)

    def _count_lost(self, records: int) -> None:
        with self._counting:
            self._lost += records

    def _wrote(self, record: logging.LogRecord) -> bool:
        try:
            self._target.handle(record)
        except OSError:  # the reader is gone, which cannot be logged
            return False
        return True


class _Entry(logging.Handler):
    def __init__(self, log: LiveLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.put(record)


class _Plain(logging.StreamHandler):  # type: ignore[type-arg]
    """Lines for a file, a pipe or the journal, which are not wrapped."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        formatter = logging.Formatter(_FORMAT, _TIME_FORMAT)
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def handleError(self, record: logging.LogRecord) -> None:
        _raise_os_error()
        super().handleError(record)


class _Rich(RichHandler):
    def __init__(self, console: Console) -> None:
        super().__init__(console=console, show_path=False, log_time_format="[%H:%M:%S]", omit_repeated_times=False)

    def handleError(self, record: logging.LogRecord) -> None:
        _raise_os_error()
        super().handleError(record)


def _raise_os_error() -> None:
    """Raise the current exception if it is an OSError."""
    error = sys.exception()
    if isinstance(error, OSError):
        raise error


def _lost_record(count: int) -> logging.LogRecord:
    return logging.LogRecord(
        __name__, logging.WARNING, __file__, 0, "%d log messages could not be written", (count,), None
    )
