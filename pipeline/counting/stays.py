"""Whether one person is inside one zone, without flicker at its border."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.counting.events import How, Kind

# Times in files are rounded to milliseconds; a limit is reached however they were rounded.
ROUNDING_S = 1e-6


class Change(NamedTuple):
    """A change of a stay; `dwell_s` as in `Event`."""

    time_s: float
    kind: Kind
    how: How
    cameras: tuple[str, ...]
    dwell_s: float | None = None


@dataclass
class _View:
    """What one camera, or the floor, says about one person and one zone.

    A side counts once the person was on it, beyond the margin, for `min_s` without a position beyond the margin on the
    other side. Positions within the margin say nothing.

    Attributes:
        side: True inside, False outside, None before anything counts.
        last_s: time of the last position.
        run: side of the last position beyond the margin; `run_s` is the first one of them in a row.
        cameras: of the last position.
        brief: visits that were too short to count.
    """

    side: bool | None = None
    last_s: float = 0.0
    run: bool | None = None
    run_s: float = 0.0
    cameras: tuple[str, ...] = ()
    brief: int = 0

    def see(self, time_s: float, depth: float, margin: float, min_s: float) -> bool:
        """Take a position; return whether the side changed (at `run_s`)."""
        self.last_s = time_s
        if depth >= margin:
            run = True
        elif depth <= -margin:
            run = False
        else:
            return False
        if run is not self.run:
            self.end_run()
            self.run, self.run_s = run, time_s
        if run is self.side or time_s - self.run_s < min_s - ROUNDING_S:
            return False
        self.side = run
        return True

    def end_run(self) -> None:
        """Count the current visit if it was too short."""
        self.brief += self.run is True and self.side is not True

    @property
    def last_inside_s(self) -> float:
        """When a person who is inside, and not seen any more, was last there."""
        return self.run_s if self.run is False else self.last_s


@dataclass
class _Stay:
    """A stay that has begun, and the latest end that some view has seen."""

    begin_s: float
    end_s: float = float("-inf")
    how: How = How.CROSSED
    cameras: tuple[str, ...] = ()
    told_dwell: bool = False
    due_s: float | None = None  # when the end is certain; None while some view says inside

    def end(self, end_s: float, how: How, cameras: tuple[str, ...]) -> None:
        if end_s >= self.end_s:
            self.end_s, self.how, self.cameras = end_s, how, cameras


@dataclass
class ZoneWatch:
    """One person and one zone, over all cameras that see the zone: inside if at least one of them says so.

    Args:
        dwell_s: a stay of this length is reported while it lasts; None reports none.
        several: whether several cameras see the zone. The end of a stay then waits `min_s`, because the next camera
            may see the person inside.
    """

    margin: float
    min_s: float
    max_gap_s: float
    dwell_s: float | None
    several: bool
    brief: int = 0
    _views: dict[str, _View] = field(default_factory=dict)
    _stay: _Stay | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is known that could matter later."""
        return not self._views and self._stay is None

    @property
    def inside_since_s(self) -> float | None:
        """Begin of the current stay; None if there is none."""
        return None if self._stay is None else self._stay.begin_s

    def see(self, time_s: float, camera: str, depth: float, cameras: tuple[str, ...]) -> Iterator[Change]:
        """Take a position: `depth` is the distance to the border in the unit of the margin, negative outside.

        Args:
            camera: in whose picture the position is, or `FLOOR`.
            cameras: that saw the person there.
        """
        yield from self.settle(time_s)
        view = self._views.setdefault(camera, _View())
        was = view.side
        changed = view.see(time_s, depth, self.margin, self.min_s)
        view.cameras = cameras
        if changed and view.side:
            outside = was is False or any(other.side is False for other in self._views.values())
            yield from self._begin(view.run_s, How.CROSSED if outside else How.APPEARED, cameras)
        elif changed and was and self._stay is not None:
            self._stay.end(view.run_s, How.CROSSED, cameras)
            yield from self._end_if_nobody_says_inside(time_s)
        if depth >= self.margin:
            yield from self._dwelt(time_s, cameras)

    def settle(self, now_s: float) -> Iterator[Change]:
        """Forget views that have not seen the person for more than the largest gap, and end a stay that is over."""
        gone = [name for name, view in self._views.items() if now_s - view.last_s > self.max_gap_s + ROUNDING_S]
        for name in gone:
            view = self._views.pop(name)
            view.end_run()
            self.brief += view.brief
            if view.side and self._stay is not None:
                self._stay.end(view.last_inside_s, How.VANISHED, view.cameras)
        if gone:
            yield from self._end_if_nobody_says_inside(now_s)
        if self._stay is not None and self._stay.due_s is not None and now_s >= self._stay.due_s - ROUNDING_S:
            yield self._leave(self._stay)

    def finish(self) -> Iterator[Change]:
        """End a stay whose end only waited; somebody who is inside stays there."""
        for view in self._views.values():
            view.end_run()
            self.brief += view.brief
        if self._stay is not None and self._stay.due_s is not None:
            yield self._leave(self._stay)

    def absorb(self, other: ZoneWatch) -> bool:
        """Take over what another id of the same person knows; return whether both were inside.

        In each camera, the later view counts. If that ends the stay, the next `settle` says so.
        """
        replaced: list[_View] = []
        for camera, view in other._views.items():
            own = self._views.get(camera)
            later = own is None or own.last_s < view.last_s
            if own is not None:
                replaced.append(own if later else view)
            if later:
                self._views[camera] = view
        self.brief += other.brief
        both = self._stay is not None and other._stay is not None
        if self._stay is not None and other._stay is not None:
            self._stay.begin_s = min(self._stay.begin_s, other._stay.begin_s)
            self._stay.told_dwell |= other._stay.told_dwell
            self._stay.end(other._stay.end_s, other._stay.how, other._stay.cameras)
        self._stay = self._stay or other._stay
        if self._stay is None:
            return False
        for view in replaced:
            if view.side:
                self._stay.end(view.last_inside_s, How.VANISHED, view.cameras)
        if any(view.side for view in self._views.values()):
            self._stay.due_s, self._stay.end_s = None, float("-inf")
        elif self._stay.due_s is None:
            self._stay.due_s = float("-inf")
        return both

    def _dwelt(self, time_s: float, cameras: tuple[str, ...]) -> Iterator[Change]:
        """Report a stay that has reached `dwell_s`, once."""
        stay = self._stay
        if stay is None or self.dwell_s is None or stay.told_dwell:
            return
        if time_s - stay.begin_s >= self.dwell_s - ROUNDING_S:
            stay.told_dwell = True
            yield Change(stay.begin_s + self.dwell_s, Kind.DWELL, How.NONE, cameras, self.dwell_s)

    def _begin(self, time_s: float, how: How, cameras: tuple[str, ...]) -> Iterator[Change]:
        stay = self._stay
        if stay is not None and stay.due_s is None:
            return
        if stay is not None:
            if time_s - stay.end_s < self.min_s:
                stay.due_s, stay.end_s = None, float("-inf")
                return
            yield self._leave(stay)
        self._stay = _Stay(time_s)
        yield Change(time_s, Kind.ENTER, how, cameras)

    def _end_if_nobody_says_inside(self, now_s: float) -> Iterator[Change]:
        stay = self._stay
        if stay is None or stay.due_s is not None or any(view.side for view in self._views.values()):
            return
        if self.several:
            stay.due_s = now_s + self.min_s
        else:
            yield self._leave(stay)

    def _leave(self, stay: _Stay) -> Change:
        self._stay = None
        end_s = max(stay.end_s, stay.begin_s)
        return Change(end_s, Kind.LEAVE, stay.how, stay.cameras, end_s - stay.begin_s)
