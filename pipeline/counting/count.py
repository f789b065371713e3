"""Counts a whole recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group

from pipeline.core.datatypes import LinkedRow
from pipeline.counting.counter import LeftOut, PeopleCounter
from pipeline.counting.events import Event, Occupancies, sorted_events
from pipeline.counting.positions import PictureScale, unscaled
from pipeline.counting.settings import CountingSettings, LineSettings, ZoneSettings
from pipeline.counting.totals import Totals, notes, totals

# Rows whose distances are computed together.
_ROWS_AT_ONCE = 5000


@dataclass(frozen=True)
class Counted:
    """The result of counting.

    Attributes:
        events: in order of time, with occupancies.
        totals: their sums.
        left_out: what was not counted.
        notes: the same as sentences.
    """

    events: list[Event]
    totals: Totals
    left_out: LeftOut
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return totals and notes as JSON data."""
        return {**self.totals.to_dict(), "events": len(self.events), "not_counted": self.notes}

    def tables(self) -> Group:
        """Return the totals as tables, and the notes."""
        return Group(self.totals.tables(), *self.notes)


def count(
    rows: Iterable[LinkedRow],
    zones: Sequence[ZoneSettings],
    lines: Sequence[LineSettings],
    settings: CountingSettings,
    *,
    scale: PictureScale = unscaled,
    epoch_utc: datetime | None = None,
) -> Counted:
    """Count the rows of a recording, which are in order of time; they are read once.

    Args:
        scale: see `PictureScale`.
        epoch_utc: date and time of second 0 of the run's clock; None if unknown.
    """
    counter = PeopleCounter(zones, lines, settings, scale=scale)
    events: list[Event] = []
    for batch in _moments(rows):
        events += counter.add(batch)
        events += counter.advance(batch[-1].row.time_s)
    events += counter.finish()
    counted = list(Occupancies(zones).with_occupancy(sorted_events(events)))
    return Counted(
        counted, totals(counted, zones, lines, epoch_utc), counter.left_out, notes(counter.left_out, settings)
    )


def _moments(rows: Iterable[LinkedRow]) -> Iterator[list[LinkedRow]]:
    """Yield batches of rows that divide no moment."""
    batch: list[LinkedRow] = []
    for linked in rows:
        if len(batch) >= _ROWS_AT_ONCE and linked.row.time_s != batch[-1].row.time_s:
            yield batch
            batch = []
        batch.append(linked)
    if batch:
        yield batch
