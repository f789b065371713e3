"""Counts people at zones and lines: rows in order of time in, events out. It has no clock and no thread of its own."""

from __future__ import annotations

from collections import Counter as Numbers
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import LinkedRow
from pipeline.counting.crossings import Crossing, LineWatch
from pipeline.counting.events import Direction, Event, Kind
from pipeline.counting.positions import PictureScale, Position, Positions, unscaled
from pipeline.counting.settings import FLOOR, CountingSettings, LineSettings, ZoneSettings, cameras_of
from pipeline.counting.shapes import Area, Path
from pipeline.counting.stays import ROUNDING_S, Change, ZoneWatch


@dataclass
class LeftOut:
    """What was not counted.

    Attributes:
        rows: rows that were read.
        without_floor: camera -> rows without floor position, if something is drawn on the floor.
        other_classes: class -> rows, if `counting.classes` excludes it.
        short_visits: zone -> visits shorter than `min_s`.
        short_crossings: line -> crossings that were undone within `min_s`.
        fragments: ids that were seen for less than `min_seen_s`.
        fragment_events: events of these ids.
        never_on_floor: ids without any floor position, if something is drawn on the floor.
        provisional: ids that never became final.
    """

    rows: int = 0
    without_floor: Numbers[str] = field(default_factory=Numbers)
    other_classes: Numbers[str] = field(default_factory=Numbers)
    short_visits: Numbers[str] = field(default_factory=Numbers)
    short_crossings: Numbers[str] = field(default_factory=Numbers)
    fragments: int = 0
    fragment_events: int = 0
    never_on_floor: int = 0
    provisional: int = 0


@dataclass
class _Known:
    """What is remembered of an id after it has left."""

    first_s: float
    certain: bool = False
    on_floor: bool = False
    final: bool = False
    waiting: list[Event] = field(default_factory=list)


@dataclass
class _Person:
    """The zones and lines that one id is near to."""

    last: LinkedRow
    zones: dict[str, ZoneWatch] = field(default_factory=dict)
    lines: dict[str, LineWatch] = field(default_factory=dict)


class PeopleCounter:
    """Counts at all zones and lines.

    Args:
        zones, lines, settings: checked by `check_counting`.
        scale: see `PictureScale`.
        remembered_ids: ids that are remembered after they were last seen; None remembers all.

    Attributes:
        left_out: what was not counted so far.
    """

    def __init__(
        self,
        zones: Sequence[ZoneSettings],
        lines: Sequence[LineSettings],
        settings: CountingSettings,
        *,
        scale: PictureScale = unscaled,
        remembered_ids: int | None = None,
    ) -> None:
        self._zones = {zone.name: zone for zone in zones}
        self._areas = {zone.name: {view: Area(points) for view, points in zone.shapes.items()} for zone in zones}
        self._paths = {line.name: {view: Path(points) for view, points in line.shapes.items()} for line in lines}
        self._settings = settings
        self._views = cameras_of(zones, lines)
        self._positions = Positions(self._views, settings.same_moment_s, scale)
        self._remembered = remembered_ids
        self._people: dict[int, _Person] = {}
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._last_s = float("-inf")
        self.left_out = LeftOut()

    def add(self, rows: Sequence[LinkedRow]) -> list[Event]:
        """Take rows in order of time; return what is certain by now. Rows of one moment belong into one call."""
        wanted = [linked for linked in rows if self._is_wanted(linked)]
        events = [event for linked in wanted for event in self._note(linked)]
        positions = list(self._positions.of(wanted))
        depths = self._measure(positions, self._areas)
        distances = self._measure(positions, self._paths)
        for number, position in enumerate(positions):
            events += self._see(
                position,
                {zone: float(found[number]) for zone, found in depths.items() if np.isfinite(found[number])},
                {line: float(found[number]) for line, found in distances.items() if np.isfinite(found[number])},
            )
        return events

    def advance(self, now_s: float) -> list[Event]:
        """Take note that no row before `now_s` will follow: people who are not seen any more leave."""
        events: list[Event] = []
        for global_id in sorted(self._people):
            person = self._people[global_id]
            for name, zone in list(person.zones.items()):
                events += self._stay_events(global_id, person, name, zone.settle(now_s))
                if zone.idle:
                    self._drop_zone(person, name)
            for name, line in list(person.lines.items()):
                events += self._line_events(global_id, person, name, line.settle(now_s))
                if line.idle:
                    self._drop_line(person, name)
            if not (person.zones or person.lines):
                del self._people[global_id]
                self._positions.forget(global_id)
        return events

    def merge(self, given_up_id: int, global_id: int, now_s: float) -> list[Event]:
        """Take note that two ids are one person, who goes on as `global_id`.

        Events that were given out stay. A person who was counted inside a zone under both ids is one too many there,
        which an event says.
        """
        if given_up_id == global_id:
            return []
        waiting = self._merge_known(given_up_id, global_id)
        other = self._people.pop(given_up_id, None)
        if other is None:
            return []
        self._positions.forget(given_up_id)
        person = self._people.setdefault(global_id, _Person(other.last))
        events: list[Event] = []
        for name, zone in other.zones.items():
            own = person.zones.setdefault(name, self._zone_watch(name))
            if own.absorb(zone):
                # An entry that was not given out yet is not one too many.
                entries = [one for one in waiting if one.kind is Kind.ENTER and one.zone == name]
                if entries:
                    self._known[global_id].waiting.remove(entries[-1])
                else:
                    events.append(self._merge_event(given_up_id, name, other, now_s))
        for name, line in other.lines.items():
            person.lines.setdefault(name, self._line_watch(name)).absorb(line)
        return events

    def _merge_known(self, given_up_id: int, global_id: int) -> list[Event]:
        """Join what is remembered of two ids; return the events of the first one that wait, under the other id."""
        before = self._known.pop(given_up_id, None)
        if before is None:
            return []
        known = self._known.setdefault(global_id, _Known(before.first_s))
        known.first_s = min(known.first_s, before.first_s)
        known.certain |= before.certain
        known.on_floor |= before.on_floor
        known.final |= before.final
        waiting = [replace(one, global_id=global_id) for one in before.waiting]
        known.waiting += waiting
        return waiting

    def _merge_event(self, given_up_id: int, zone: str, person: _Person, now_s: float) -> Event:
        return Event(
            now_s,
            Kind.MERGE,
            zone=zone,
            cameras=(person.last.row.camera_id,),
            global_id=given_up_id,
            class_name=person.last.row.class_name,
        )

    def finish(self) -> list[Event]:
        """End the recording with the last row. People who are inside a zone stay there; nothing else waits."""
        events = self.advance(self._last_s)
        for global_id in sorted(self._people):
            person = self._people[global_id]
            for name, zone in list(person.zones.items()):
                events += self._stay_events(global_id, person, name, zone.finish())
                self._drop_zone(person, name)
            for name, line in list(person.lines.items()):
                events += self._line_events(global_id, person, name, line.finish())
                self._drop_line(person, name)
        self._people.clear()
        for known in self._known.values():
            self._forget(known)
        self._known.clear()
        return events

    def _is_wanted(self, linked: LinkedRow) -> bool:
        self.left_out.rows += 1
        self._last_s = max(self._last_s, linked.row.time_s)
        classes = self._settings.classes
        if classes is not None and linked.row.class_name not in classes:
            self.left_out.other_classes[linked.row.class_name] += 1
            return False
        return True

    def _note(self, linked: LinkedRow) -> list[Event]:
        """Remember when an id was first seen; return its events that waited, if it is no fragment by now."""
        global_id, row = linked.link.global_id, linked.row
        known = self._known.setdefault(global_id, _Known(row.time_s))
        self._known.move_to_end(global_id)
        known.certain |= row.time_s - known.first_s >= self._settings.min_seen_s - ROUNDING_S
        known.final |= linked.link.final
        if FLOOR in self._views:
            known.on_floor |= row.world_xy_m is not None
            self.left_out.without_floor[row.camera_id] += row.world_xy_m is None
        while self._remembered is not None and len(self._known) > self._remembered:
            self._forget(self._known.popitem(last=False)[1])
        if not known.certain:
            return []
        waited, known.waiting = known.waiting, []
        return waited

    def _forget(self, known: _Known) -> None:
        self.left_out.provisional += not known.final
        if not known.certain:
            self.left_out.fragments += 1
            self.left_out.fragment_events += len(known.waiting)
        if FLOOR in self._views:
            self.left_out.never_on_floor += not known.on_floor

    def _measure(
        self, positions: Sequence[Position], shapes: Mapping[str, Mapping[str, Area] | Mapping[str, Path]]
    ) -> dict[str, NDArray[np.float64]]:
        """Return for each zone or line the distances (N,) of the positions; NaN where it is in another view."""
        of_view: dict[str, list[int]] = {}
        for number, position in enumerate(positions):
            of_view.setdefault(position.view, []).append(number)
        xy = np.array([position.xy for position in positions], np.float64).reshape(-1, 2)
        measured = {}
        for name, views in shapes.items():
            measured[name] = np.full(len(positions), np.nan)
            for view, shape in views.items():
                if view in of_view:
                    at = of_view[view]
                    measured[name][at] = (
                        shape.depths(xy[at]) if isinstance(shape, Area) else shape.distances(xy[at])
                    )
        return measured

    def _see(
        self, position: Position, depths: Mapping[str, float], distances: Mapping[str, float]
    ) -> Iterator[Event]:
        global_id, time_s, view = position.global_id, position.time_s, position.view
        person = self._people.setdefault(global_id, _Person(position.linked))
        person.last = position.linked
        for name, depth in depths.items():
            zone = person.zones.get(name) or person.zones.setdefault(name, self._zone_watch(name))
            changes = zone.see(time_s, view, depth, position.cameras)
            yield from self._stay_events(global_id, person, name, changes)
        for name, distance in distances.items():
            line = person.lines.get(name) or person.lines.setdefault(name, self._line_watch(name))
            crossings = line.see(time_s, view, position.xy, distance, position.cameras)
            yield from self._line_events(global_id, person, name, crossings)

    def _zone_watch(self, name: str) -> ZoneWatch:
        views = self._areas[name]
        return ZoneWatch(
            margin=self._settings.margin(next(iter(views))),
            min_s=self._settings.min_s,
            max_gap_s=self._settings.max_gap_s,
            dwell_s=self._zones[name].dwell_s,
            several=len(views) > 1,
        )

    def _line_watch(self, name: str) -> LineWatch:
        paths = self._paths[name]
        return LineWatch(
            paths=paths,
            margins={view: self._settings.margin(view) for view in paths},
            min_s=self._settings.min_s,
            max_gap_s=self._settings.max_gap_s,
            same_crossing_s=self._settings.same_crossing_s,
        )

    def _stay_events(
        self, global_id: int, person: _Person, zone: str, changes: Iterable[Change]
    ) -> Iterator[Event]:
        for change in changes:
            yield from self._if_certain(
                Event(
                    change.time_s,
                    change.kind,
                    zone=zone,
                    cameras=change.cameras,
                    global_id=global_id,
                    class_name=person.last.row.class_name,
                    how=change.how,
                    dwell_s=change.dwell_s,
                    final=person.last.link.final,
                )
            )

    def _line_events(
        self, global_id: int, person: _Person, line: str, crossings: Iterable[Crossing]
    ) -> Iterator[Event]:
        for crossing in crossings:
            # The plan of a floor has y upwards, pictures have y downwards: the right of a line is the other sign.
            is_in = crossing.sign > 0 if FLOOR not in self._paths[line] else crossing.sign < 0
            yield from self._if_certain(
                Event(
                    crossing.time_s,
                    Kind.CROSS,
                    line=line,
                    cameras=crossing.cameras,
                    global_id=global_id,
                    class_name=person.last.row.class_name,
                    direction=Direction.IN if is_in else Direction.OUT,
                    final=person.last.link.final,
                )
            )

    def _if_certain(self, event: Event) -> Iterator[Event]:
        """Yield the event, or keep it until its person was seen for long enough."""
        known = self._known.get(event.global_id)
        if known is None or known.certain:
            yield event
        else:
            known.waiting.append(event)

    def _drop_zone(self, person: _Person, name: str) -> None:
        self.left_out.short_visits[name] += person.zones.pop(name).brief

    def _drop_line(self, person: _Person, name: str) -> None:
        self.left_out.short_crossings[name] += person.lines.pop(name).brief
