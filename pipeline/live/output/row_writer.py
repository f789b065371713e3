"""Writes rows in a thread of its own, and keeps them in memory while they cannot be written."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.counting.events import Event
from pipeline.live.busy import BusyTimer
from pipeline.live.guarded_thread import GuardedThread
from pipeline.live.host_clock import LiveClock
from pipeline.live.output.event_segments import EventSegments, live_event_line
from pipeline.live.output.segments import SegmentWriter, remap_line, row_line

# Interval between attempts after a failed write.
_RETRY_S = 0.5
_TICK_S = 0.1
# A disk that does not return from a call for this long counts as one that accepts nothing.
_BLOCKED_S = 5.0
# Number of rows whose latencies are kept.
_LATENCIES = 5000

_log = logging.getLogger(__name__)


@dataclass
class _Batch:
    """The output of one tick: lines that are still to be written, and the capture times of the rows in Unix s."""

    rows: list[str]
    remaps: list[str]
    times_s: list[float]
    events: list[str]


class RowWriter:
    """Writes rows, corrections and events; `submit` never blocks. Above `max_waiting_rows`, the oldest rows are
    discarded and counted. Corrections and events are few and may concern rows in the files, so they are kept."""

    def __init__(
        self,
        segments: SegmentWriter,
        run_id: str,
        clock: LiveClock,
        max_waiting_rows: int,
        event_files: EventSegments | None = None,
    ) -> None:
        self._segments = segments
        self._event_files = event_files
        self._run_id = run_id
        self._clock = clock
        self._max_waiting_rows = max_waiting_rows
        self._pending: deque[_Batch] = deque()
        self._changed = threading.Condition()
        self._closing_s: float | None = None
        self._closed = False
        self._latency_s: deque[float] = deque(maxlen=_LATENCIES)
        self.rows_written = 0
        self.rows_waiting = 0
        self.rows_lost = 0
        self._problem = ""
        self.last_problem = "the disk did not answer"  # the reason of a loss, for the message at the end
        self._disk = BusyTimer()
        self._retry_s = float("-inf")
        self._replace_remap: Callable[[], None] | None = None
        self._thread = GuardedThread(self._run, "write")
        self._thread.start()

    def submit(
        self, rows: Sequence[LinkedRow], corrections: Sequence[Correction], events: Sequence[Event] = ()
    ) -> None:
        """Queue rows, corrections of earlier rows, and events."""
        if not rows and not corrections and not events:
            return
        batch = _Batch(
            [row_line(linked) for linked in rows],
            [remap_line(correction, self._run_id) for correction in corrections],
            [linked.row.time_s for linked in rows],
            [live_event_line(event) for event in events],
        )
        with self._changed:
            self._pending.append(batch)
            self.rows_waiting += len(batch.rows)
            while self.rows_waiting > self._max_waiting_rows:
                self._give_up_oldest()
            self._changed.notify()

    def replace_remap(self, work: Callable[[], None]) -> None:
        """Run `work` soon in the writing thread, while remap.csv is closed.

        Args:
            work: may replace that file; raises no OSError.
        """
        with self._changed:
            self._replace_remap = work

    @property
    def problem(self) -> str:
        """Why rows cannot be written as they should; empty while they can."""
        blocked_s = self._disk.busy_s
        if blocked_s >= _BLOCKED_S:
            return f"the disk has not answered for {blocked_s:.0f} s"
        return self._problem or self._segments.problem

    @property
    def disk_s(self) -> float:
        """Seconds for which the disk has not returned from the current work."""
        return self._disk.busy_s

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the writing thread; None while it works, also on a full disk."""
        return self._thread.error

    @property
    def since_sync_s(self) -> float:
        """Seconds since all written rows were last forced to the disk."""
        return self._segments.since_sync_s

    def latency_s(self) -> dict[float, float]:
        """Return the seconds from capture to the row in the file, of the last rows, by quantile (0.5 and 0.99); empty
        before the first row."""
        with self._changed:
            latencies = list(self._latency_s)
        if not latencies:
            return {}
        return {share: float(np.quantile(latencies, share)) for share in (0.5, 0.99)}

    def close(self, within_s: float) -> None:
        """Write all waiting rows, trying for at most `within_s` seconds; count the rest as lost."""
        with self._changed:
            self._closing_s = self._clock.monotonic_s() + within_s
            self._retry_s = float("-inf")
            self._changed.notify()
        self._thread.join(within_s + 1.0)
        with self._changed:
            self._closed = True
            while self._pending:
                self._give_up_oldest()
        if self._thread.is_alive():
            _log.error("the disk does not answer; the last rows may be missing")

    def _give_up_oldest(self) -> None:
        given_up = self._pending.popleft()
        self.rows_lost += len(given_up.rows)
        self.rows_waiting -= len(given_up.rows)
        if self._pending:
            self._pending[0].remaps = [*given_up.remaps, *self._pending[0].remaps]
            self._pending[0].events = [*given_up.events, *self._pending[0].events]

    def _run(self) -> None:
        finished = False
        while not finished:
            with self._changed:
                self._changed.wait_for(self._something_to_do, _TICK_S)
                closing_s = self._closing_s
                if self._closed:
                    return
            try:
                with self._disk():
                    finished = self._work(closing=closing_s is not None)
            except OSError as error:
                self._failed(error)
            finished = finished or (closing_s is not None and self._clock.monotonic_s() >= closing_s)

    def _work(self, *, closing: bool) -> bool:
        """Do what is due; return whether everything is written and closed."""
        self._count_removed(self._segments.check_in_place())
        self._write_pending()
        self._segments.keep_up()
        if self._event_files is not None:
            self._event_files.keep_up()
        self._do_replace_remap()
        if self._pending:
            return False
        self._worked()
        if closing:
            self._segments.close()
            if self._event_files is not None:
                self._event_files.close()
        return closing

    def _count_removed(self, rows: int) -> None:
        with self._changed:
            self.rows_written -= rows
            self.rows_lost += rows
            if rows:
                self.last_problem = "their file was deleted during the run"

    def _something_to_do(self) -> bool:
        if self._closed or (self._closing_s is not None and not self._pending):
            return True
        return bool(self._pending) and self._clock.monotonic_s() >= self._retry_s

    def _write_pending(self) -> None:
        """Write batch by batch, with one write per batch, and rows before their corrections."""
        while True:
            with self._changed:
                if not self._pending or self._clock.monotonic_s() < self._retry_s:
                    return
                batch = self._pending[0]
            if batch.rows:
                self._segments.write_rows(batch.rows)
                self._wrote(batch)
            if batch.remaps:
                self._segments.write_remaps(batch.remaps)
                batch.remaps = []
            if batch.events and self._event_files is not None:
                self._event_files.write(batch.events)
                batch.events = []
            with self._changed:
                if self._pending and self._pending[0] is batch:
                    self._pending.popleft()

    def _do_replace_remap(self) -> None:
        with self._changed:
            work, self._replace_remap = self._replace_remap, None
        if work is not None:
            self._segments.release_remap()
            work()

    def _wrote(self, batch: _Batch) -> None:
        now_s = self._clock.utc_s()
        with self._changed:
            self.rows_written += len(batch.rows)
            if self._pending and self._pending[0] is batch:
                self.rows_waiting -= len(batch.rows)
            else:  # discarded while it was being written
                self.rows_lost -= len(batch.rows)
            batch.rows = []
            self._latency_s.extend(now_s - time_s for time_s in batch.times_s)

    def _failed(self, error: OSError) -> None:
        self._retry_s = self._clock.monotonic_s() + _RETRY_S
        problem = error.strerror or str(error)
        if problem != self._problem:
            _log.error("rows cannot be written (%s); they are kept in memory until they can", problem)
        self._problem = self.last_problem = problem

    def _worked(self) -> None:
        if self._problem:
            _log.warning("rows can be written again; %d were lost", self.rows_lost)
        self._problem = ""
