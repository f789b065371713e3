"""When one person crosses one line, without flicker, and once although several cameras see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.counting.shapes import Path
from pipeline.counting.stays import ROUNDING_S

# Crossings of one person that a late camera can still confirm.
_REMEMBERED = 20


class Crossing(NamedTuple):
    """A crossing; `sign` as in `Path.crossings`."""

    time_s: float
    sign: int
    cameras: tuple[str, ...]


@dataclass
class _Way:
    """The way of one person in one camera, or on the floor, past one line.

    The way counts between positions that are at least the margin away from the line, and its first and last position:
    between two of them, a person crosses once or not at all, however often the line is touched. A crossing and the way
    back within `min_s` cancel each other.
    """

    last_s: float
    last_xy: Sequence[float]
    cameras: tuple[str, ...] = ()
    since: list[tuple[float, int]] = field(default_factory=list)
    waiting: Crossing | None = None
    brief: int = 0

    def see(self, time_s: float, xy: Sequence[float], path: Path, clear: bool, min_s: float) -> Iterator[Crossing]:
        length_s = time_s - self.last_s
        self.since += [(self.last_s + share * length_s, sign) for share, sign in path.crossings(self.last_xy, xy)]
        self.last_s, self.last_xy = time_s, xy
        if clear:
            yield from self.count(min_s)
            if self.waiting is not None and time_s - self.waiting.time_s >= min_s - ROUNDING_S:
                yield self.waiting
                self.waiting = None

    def count(self, min_s: float) -> Iterator[Crossing]:
        """Count what was crossed since the last time."""
        net = sum(sign for _, sign in self.since)
        if net:
            sign = 1 if net > 0 else -1
            crossed_s = max(time_s for time_s, each in self.since if each == sign)
            before = self.waiting
            if before is not None and before.sign != sign and crossed_s - before.time_s < min_s - ROUNDING_S:
                self.waiting = None
                self.brief += 1
            else:
                if before is not None:
                    yield before
                self.waiting = Crossing(crossed_s, sign, self.cameras)
        self.since = []

    def end(self, min_s: float) -> Iterator[Crossing]:
        yield from self.count(min_s)
        if self.waiting is not None:
            yield self.waiting


@dataclass
class _Seen:
    """One crossing as several cameras see it."""

    sign: int
    times_s: list[float]
    cameras: set[str]
    views: set[str]
    told: bool = False


@dataclass
class LineWatch:
    """One person and one line, over all cameras that see the line.

    Args:
        paths: camera or `FLOOR` -> the line there.
        margins: the same -> margin in its unit.
        same_crossing_s: crossings in one direction that different cameras see within this time are one.
    """

    paths: dict[str, Path]
    margins: dict[str, float]
    min_s: float
    max_gap_s: float
    same_crossing_s: float
    brief: int = 0
    _ways: dict[str, _Way] = field(default_factory=dict)
    _seen: list[_Seen] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        """Whether nothing is known that could matter later."""
        return not self._ways

    def see(
        self, time_s: float, camera: str, xy: Sequence[float], distance: float, cameras: tuple[str, ...]
    ) -> Iterator[Crossing]:
        """Take a position at `distance` from the line; see `ZoneWatch.see`."""
        yield from self.settle(time_s)
        way = self._ways.get(camera)
        if way is None:
            self._ways[camera] = _Way(time_s, xy, cameras)
            return
        way.cameras = cameras
        clear = distance >= self.margins[camera]
        for crossing in way.see(time_s, xy, self.paths[camera], clear, self.min_s):
            yield from self._counted(camera, crossing)

    def absorb(self, other: LineWatch) -> None:
        """Take over what another id of the same person knows: in each camera, the way that went on longer."""
        for camera, way in other._ways.items():
            own = self._ways.get(camera)
            if own is None or own.last_s < way.last_s:
                self._ways[camera] = way
        self._seen = sorted([*self._seen, *other._seen], key=lambda one: (min(one.times_s), one.sign))
        self.brief += other.brief

    def settle(self, now_s: float) -> Iterator[Crossing]:
        """End ways that have not gone on for more than the largest gap, and give out what no camera can add to."""
        for camera in [
            name for name, way in self._ways.items() if now_s - way.last_s > self.max_gap_s + ROUNDING_S
        ]:
            yield from self._end(camera)
        yield from self._told(now_s)

    def finish(self) -> Iterator[Crossing]:
        """End all ways."""
        for camera in sorted(self._ways):
            yield from self._end(camera)
        yield from self._told(float("inf"))

    def _end(self, camera: str) -> Iterator[Crossing]:
        way = self._ways.pop(camera)
        for crossing in way.end(self.min_s):
            yield from self._counted(camera, crossing)
        self.brief += way.brief
        if not self._ways:
            yield from self._told(float("inf"))

    def _counted(self, camera: str, crossing: Crossing) -> Iterator[Crossing]:
        if len(self.paths) == 1:
            yield crossing
            return

        def apart_s(one: _Seen) -> float:
            return min(abs(crossing.time_s - time_s) for time_s in one.times_s)

        same = [
            one
            for one in self._seen
            if one.sign == crossing.sign
            and camera not in one.views
            and apart_s(one) <= self.same_crossing_s + ROUNDING_S
        ]
        if same:
            nearest = min(same, key=apart_s)
            nearest.times_s.append(crossing.time_s)
            nearest.views.add(camera)
            nearest.cameras.update(crossing.cameras)
        else:
            self._seen.append(_Seen(crossing.sign, [crossing.time_s], set(crossing.cameras), {camera}))

    def _told(self, now_s: float) -> Iterator[Crossing]:
        for one in self._seen:
            if not one.told and now_s - max(one.times_s) > self.same_crossing_s + ROUNDING_S:
                one.told = True
                yield Crossing(min(one.times_s), one.sign, tuple(sorted(one.cameras)))
        while len(self._seen) > _REMEMBERED and self._seen[0].told:
            self._seen.pop(0)
