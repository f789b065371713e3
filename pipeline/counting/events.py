"""What is counted: events, and how many people are inside after each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

from pipeline.counting.settings import ZoneSettings


class Kind(StrEnum):
    """What happened."""

    ENTER = "enter"
    LEAVE = "leave"
    DWELL = "dwell"
    OCCUPANCY = "occupancy"
    CROSS = "cross"
    MERGE = "merge"


class How(StrEnum):
    """How a stay in a zone began or ended."""

    CROSSED = "crossed"  # over the border: the person was seen outside before or afterwards
    APPEARED = "appeared"  # seen inside without having been seen outside
    VANISHED = "vanished"  # not seen any more
    NONE = ""


class Direction(StrEnum):
    """Of a crossing: from the left of the line to its right is in."""

    IN = "in"
    OUT = "out"
    NONE = ""


@dataclass(frozen=True)
class Event:
    """One event of one person at one zone or line.

    Attributes:
        time_s: on the run's clock (Unix time in a live run); a gap that ends a stay is dated by its begin.
        zone, line: the name of one of them; the other is ''.
        cameras: that saw it, sorted.
        global_id: the person; of OCCUPANCY, the one who entered last; of MERGE, the id that is given up.
        dwell_s: of LEAVE, the length of the stay; of DWELL, the time that was reached.
        occupancy: people inside the zone after the event; None for a line.
        final: whether the link of the person was final.
    """

    time_s: float
    kind: Kind
    zone: str = ""
    line: str = ""
    cameras: tuple[str, ...] = ()
    global_id: int = 0
    class_name: str = ""
    direction: Direction = Direction.NONE
    how: How = How.NONE
    dwell_s: float | None = None
    occupancy: int | None = None
    final: bool = True


# At one moment, people leave before others enter, and a zone is full after that.
_ORDER = {
    kind: place for place, kind in enumerate((Kind.DWELL, Kind.LEAVE, Kind.MERGE, Kind.ENTER, Kind.OCCUPANCY))
}


def sorted_events(events: Iterable[Event]) -> list[Event]:
    """Return events in order of time; at the same time in an order that depends on nothing but the events."""
    return sorted(
        events,
        key=lambda one: (one.time_s, _ORDER.get(one.kind, 0), one.zone, one.line, one.global_id, one.direction),
    )


class Occupancies:
    """Counts the people in each zone, event by event.

    Attributes:
        inside: zone -> people inside now.
    """

    def __init__(self, zones: Sequence[ZoneSettings]) -> None:
        self._limits = {zone.name: inf if zone.max_people is None else zone.max_people for zone in zones}
        self.inside: dict[str, int] = {zone.name: 0 for zone in zones}

    def with_occupancy(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield each event with the number of people inside after it, and an event when a zone becomes full."""
        for event in events:
            if not event.zone:
                yield event
                continue
            before = self.inside[event.zone]
            now = before + {Kind.ENTER: 1, Kind.LEAVE: -1, Kind.MERGE: -1}.get(event.kind, 0)
            self.inside[event.zone] = now
            counted = replace(event, occupancy=now)
            yield counted
            if before < self._limits[event.zone] <= now:
                yield replace(counted, kind=Kind.OCCUPANCY, how=How.NONE, dwell_s=None)


def recounted(events: Iterable[Event]) -> list[Event]:
    """Return events, some of which were removed, with the number of people inside counted anew.

    An OCCUPANCY whose zone is no longer as full as it says is left out.
    """
    inside: dict[str, int] = defaultdict(int)
    left = []
    for event in events:
        if not event.zone:
            left.append(event)
            continue
        if event.kind is Kind.OCCUPANCY and inside[event.zone] < (event.occupancy or 0):
            continue
        inside[event.zone] += {Kind.ENTER: 1, Kind.LEAVE: -1, Kind.MERGE: -1}.get(event.kind, 0)
        left.append(replace(event, occupancy=inside[event.zone]))
    return left
