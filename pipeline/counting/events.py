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


#: What an event adds to the number of people inside.
INSIDE = {Kind.ENTER: 1, Kind.LEAVE: -1, Kind.MERGE: -1}
# At one moment, people leave before others enter.
_ORDER = {Kind.DWELL: 0, Kind.LEAVE: 1, Kind.MERGE: 2, Kind.ENTER: 3}
_AFTER_ENTER = 4  # the end of a stay of one moment


def sorted_events(events: Iterable[Event]) -> list[Event]:
    """Return events in order of time; at the same time in an order that depends on nothing but the events."""

    def key(one: Event) -> tuple[float, int, str, str, int, str]:
        order = _AFTER_ENTER if one.kind is Kind.LEAVE and not one.dwell_s else _ORDER.get(one.kind, 0)
        return one.time_s, order, one.zone, one.line, one.global_id, one.direction

    return sorted(events, key=key)


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
            now = before + INSIDE.get(event.kind, 0)
            self.inside[event.zone] = now
            counted = replace(event, occupancy=now)
            yield counted
            if before < self._limits[event.zone] <= now:
                yield replace(counted, kind=Kind.OCCUPANCY, how=How.NONE, dwell_s=None)


class WithoutPeople:
    """Removes people from events, one by one in order, and from the numbers of people inside."""

    def __init__(self) -> None:
        self._removed: dict[str, int] = defaultdict(int)

    def kept(self, event: Event, is_theirs: bool) -> Event | None:
        """Return the event as it is without these people; None if it is theirs, or if a zone became full only with
        them."""
        if is_theirs:
            # An entry that is in a file deleted before leaves nothing to correct.
            self._removed[event.zone] = max(0, self._removed[event.zone] + INSIDE.get(event.kind, 0))
            return None
        if event.occupancy is None:
            return event
        removed = self._removed[event.zone]
        if removed and event.kind is Kind.OCCUPANCY:
            return None
        return replace(event, occupancy=max(0, event.occupancy - removed)) if removed else event
