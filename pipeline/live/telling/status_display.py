"""Shows the status of a run: as a table in a terminal, otherwise as a line in the log."""

from __future__ import annotations

import logging
import threading

from rich.console import Console
from rich.live import Live

from pipeline.live.telling.status import LiveStatus, StatusSource
from pipeline.live.telling.status_table import camera_line, status_line, status_table

_TABLE_S = 0.5
_LINE_S = 60.0

_log = logging.getLogger(__name__)


class StatusDisplay:
    """Context manager; shows the status from a thread of its own, so that a terminal that is stopped or gone, or a
    status that cannot be had, does not touch the run."""

    def __init__(self, source: StatusSource, console: Console) -> None:
        self._source = source
        self._console = console
        self._stop = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)

    def __enter__(self) -> StatusDisplay:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(_TABLE_S)

    def _run(self) -> None:
        if not self._console.is_terminal:
            self._lines()
            return
        try:
            with Live(console=self._console, auto_refresh=False, transient=True) as table:
                while True:
                    status = self._status()
                    if status is not None:
                        table.update(status_table(status, *self._console.size), refresh=True)
                    if self._stop.wait(_TABLE_S):
                        return
        except OSError as error:
            _log.warning("the terminal does not show the table any more (%s)", error.strerror)

    def _lines(self) -> None:
        while True:
            status = self._status()
            if status is not None:
                cameras = ", ".join(camera_line(camera) for camera in status.cameras)
                _log.info("%s; %s", status_line(status), cameras)
            if self._stop.wait(_LINE_S):
                return

    def _status(self) -> LiveStatus | None:
        try:
            status = self._source.status()
        except Exception as error:
            if str(error) != self._told:
                self._told = str(error)
                _log.exception("the status is not known")
            return None
        self._told = ""
        return status
