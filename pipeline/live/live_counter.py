"""Counts at zones and lines while a live run goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf

from pipeline.config.config import Config
from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.counting.counter import PeopleCounter
from pipeline.counting.events import Event, Kind, Occupancies
from pipeline.counting.positions import PictureScale
from pipeline.live.telling.status import Dwells, LiveCounts

# Ids that are remembered after they were last seen, some 30 MB.
_REMEMBERED_IDS = 100_000


class LiveCounter:
    """Turns the rows and corrections of a live run into events; used by one thread.

    Counts are provisional: ids may be corrected after an event was given out.

    Args:
        scale: see `PictureScale`.

    Attributes:
        counts: replaced as a whole, so that other threads can read it.
    """

    def __init__(self, config: Config, scale: PictureScale) -> None:
        self._counter = PeopleCounter(
            config.zones, config.lines, config.counting, scale=scale, remembered_ids=_REMEMBERED_IDS
        )
        self._occupancies = Occupancies(config.zones)
        self._zones = [zone.name for zone in config.zones]
        self._lines = [line.name for line in config.lines]
        self._numbers: Counter[tuple[Kind, str, str]] = Counter()
        self._dwells = {zone.name: Dwells() for zone in config.zones}
        self.counts = self._counts()

    def take(
        self, rows: Sequence[LinkedRow], corrections: Sequence[Correction], complete_before_s: float
    ) -> list[Event]:
        """Return the events that are certain by now, with the number of people inside.

        Args:
            corrections: of rows up to these.
            complete_before_s: no row of an earlier time will follow; infinite at the end of the run.
        """
        events = self._counter.add(rows)
        for correction in corrections:
            events += self._counter.merge(correction.provisional_id, correction.global_id, correction.time_s)
        if complete_before_s == inf:
            events += self._counter.finish()
        elif complete_before_s > -inf:
            events += self._counter.advance(complete_before_s)
        given = list(self._occupancies.with_occupancy(events))
        if given:
            self._numbers.update((one.kind, one.zone or one.line, str(one.direction)) for one in given)
            for one in given:
                if one.kind is Kind.LEAVE:
                    self._dwells[one.zone] = self._dwells[one.zone].with_stay(one.dwell_s or 0.0)
            self.counts = self._counts()
        return given

    def _counts(self) -> LiveCounts:
        def of_zones(kind: Kind) -> dict[str, int]:
            return {name: self._numbers[kind, name, ""] for name in self._zones}

        return LiveCounts(
            inside=dict(self._occupancies.inside),
            entered=of_zones(Kind.ENTER),
            left=of_zones(Kind.LEAVE),
            merged=of_zones(Kind.MERGE),
            crossed={
                (name, direction): self._numbers[Kind.CROSS, name, direction]
                for name in self._lines
                for direction in ("in", "out")
            },
            dwells=dict(self._dwells),
        )
