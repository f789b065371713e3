"""Feeds one sink in a thread of its own, so that a slow or failing sink affects nothing else."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.core.redaction import Redactor
from pipeline.counting.events import Event
from pipeline.live.sinks.base import Sink
from pipeline.live.telling.status import SinkStatus

_RETRY_S = 1.0
_FLUSH_S = 1.0
# Largest number of rows, or of corrections, per call: enough for a distant receiver to keep up. It is halved after a
# failure, because the connection may be slow.
_AT_ONCE = 500

_log = logging.getLogger(__name__)


@dataclass
class _Batch:
    rows: Sequence[LinkedRow]
    corrections: Sequence[Correction]
    events: Sequence[Event] = ()


class SinkFeed:
    """Opens the sink, passes waiting rows to it, and repeats failed calls until they succeed.

    Args:
        make: opens the sink; called again if that fails.
        max_waiting_rows: above this number, the oldest rows are discarded and counted; the same limit holds for the
            corrections of discarded rows, and for the events with them.
        retry_s: seconds between two attempts.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Sink],
        redact: Redactor,
        max_waiting_rows: int,
        retry_s: float = _RETRY_S,
    ) -> None:
        self._name = name
        self._make = make
        self._redact = redact
        self._max_waiting_rows = max_waiting_rows
        self._retry_s = retry_s
        self._pending: deque[_Batch] = deque()
        self._waiting_rows = 0
        self._at_once = _AT_ONCE
        self._changed = threading.Condition()
        self._closing = False
        self._reopen = False
        self._given_up = threading.Event()
        self._rows = 0
        self._errors = 0
        self._lost = 0
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)
        self._thread.start()

    def submit(
        self, rows: Sequence[LinkedRow], corrections: Sequence[Correction], events: Sequence[Event] = ()
    ) -> None:
        """Queue rows, corrections of earlier rows, and events; never blocks."""
        if not rows and not corrections and not events:
            return
        with self._changed:
            self._pending.append(_Batch(rows, corrections, events))
            self._waiting_rows += len(rows)
            while self._waiting_rows > self._max_waiting_rows:
                self._give_up_oldest()
            self._changed.notify()

    def status(self) -> SinkStatus:
        """Return the counters and the current problem."""
        with self._changed:
            return SinkStatus(
                self._redact(self._name), self._rows, self._errors, self._lost, self._problem, self._waiting_rows
            )

    def reopen(self) -> None:
        """Open the sink again before the next rows, for example with a new password; no row is lost."""
        with self._changed:
            self._reopen = True
            self._changed.notify()

    def begin_close(self) -> None:
        """Announce that no more rows follow; returns at once."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def close(self, within_s: float) -> None:
        """Deliver waiting rows for at most `within_s` seconds; log how many rows this sink did not receive."""
        self.begin_close()
        self._thread.join(within_s)
        self._given_up.set()
        with self._changed:
            left = self._waiting_rows
            self._lost += left
            self._pending.clear()
            self._waiting_rows = 0
            lost = self._lost
        if lost:
            _log.warning(
                "sink %s: %d rows were not delivered, %d of them at the end; the CSV has them",
                self._redact(self._name),
                lost,
                left,
            )

    def _give_up_oldest(self) -> None:
        """Discard the oldest batch, but keep its corrections and events: they may concern delivered rows."""
        given_up = self._pending.popleft()
        self._waiting_rows -= len(given_up.rows)
        self._lost += len(given_up.rows)
        if self._pending:
            corrections = [*given_up.corrections, *self._pending[0].corrections]
            given_up.corrections = ()
            # Corrections must not grow for weeks either: above the limit, the oldest are discarded.
            self._pending[0].corrections = corrections[-self._max_waiting_rows :]
            self._lost += max(0, len(corrections) - self._max_waiting_rows)
            events = [*given_up.events, *self._pending[0].events]
            given_up.events = ()
            self._pending[0].events = events[-self._max_waiting_rows :]
            self._lost += max(0, len(events) - self._max_waiting_rows)

    def _run(self) -> None:
        sink: Sink | None = None
        while not self._given_up.is_set():
            try:
                with self._changed:
                    reopen, self._reopen = self._reopen, False
                if reopen and sink is not None:
                    old, sink = sink, None
                    with suppress(Exception):  # it is replaced anyway
                        old.close()
                sink = sink or self._make()
                if self._feed(sink):
                    break
            except Exception as error:
                self._failed(error)
                self._given_up.wait(self._retry_s)
        if sink is not None:
            with suppress(Exception):  # all that could be delivered was delivered
                sink.close()

    def _feed(self, sink: Sink) -> bool:
        """Deliver waiting rows and corrections; return True if the feed was closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closing or self._reopen, _FLUSH_S)
            batches = [] if self._reopen else self._next()
            closing = self._closing
        if not batches:
            sink.flush()
            return closing and not self._pending
        rows = [linked for batch in batches for linked in batch.rows]
        if rows:
            sink.write(rows)
            self._handed_over(batches)
        while corrections := self._next_corrections(batches):
            sink.remap(corrections)
            self._went_well()
            self._corrected(batches, corrections)
        while events := self._next_events(batches):
            sink.events(events)
            self._went_well()
            self._told(batches, events)
        self._went_well()
        with self._changed:
            for batch in batches:
                # A batch that has received corrections or events of a discarded batch meanwhile stays for the next
                # call.
                done = not batch.corrections and not batch.events
                if self._pending and self._pending[0] is batch and done:
                    self._pending.popleft()
        return False

    def _next(self) -> list[_Batch]:
        """Return the oldest batches that fit into one call, at least one; none if none waits."""
        batches: list[_Batch] = []
        rows = 0
        for batch in self._pending:
            rows += len(batch.rows)
            if batches and rows > self._at_once:
                break
            batches.append(batch)
        return batches

    def _next_corrections(self, batches: Sequence[_Batch]) -> list[Correction]:
        with self._changed:
            waiting = (correction for batch in batches for correction in batch.corrections)
            return list(itertools.islice(waiting, self._at_once))

    def _next_events(self, batches: Sequence[_Batch]) -> list[Event]:
        with self._changed:
            return list(itertools.islice((event for batch in batches for event in batch.events), self._at_once))

    def _told(self, batches: Sequence[_Batch], events: Sequence[Event]) -> None:
        """Remove events that were sent; see `_corrected`."""
        sent = {id(event) for event in events}
        with self._changed:
            for batch in batches:
                batch.events = [event for event in batch.events if id(event) not in sent]

    def _corrected(self, batches: Sequence[_Batch], corrections: Sequence[Correction]) -> None:
        """Remove corrections that were sent. Those of a batch discarded meanwhile are now in another batch and are sent
        again."""
        sent = {id(correction) for correction in corrections}
        with self._changed:
            for batch in batches:
                batch.corrections = [correction for correction in batch.corrections if id(correction) not in sent]

    def _went_well(self) -> None:
        with self._changed:
            self._problem = ""
            self._at_once = min(2 * self._at_once, _AT_ONCE)

    def _handed_over(self, batches: Sequence[_Batch]) -> None:
        with self._changed:
            waiting = {id(batch) for batch in itertools.islice(self._pending, len(batches))}
            for batch in batches:
                self._rows += len(batch.rows)
                if id(batch) in waiting:
                    self._waiting_rows -= len(batch.rows)
                else:  # discarded during the delivery
                    self._lost -= len(batch.rows)
                batch.rows = ()

    def _failed(self, error: Exception) -> None:
        text = self._redact(f"{type(error).__name__}: {error}")
        with self._changed:
            self._errors += 1
            self._at_once = max(1, self._at_once // 2)
            news = not self._problem
            self._problem = text
        if news:
            _log.warning("sink %s: %s; trying again", self._redact(self._name), text)
