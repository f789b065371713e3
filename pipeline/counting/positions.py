"""Where people are: foot points in the pictures, and one position on the floor from all cameras that see a person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from pipeline.core.datatypes import LinkedRow, TrajectoryRow
from pipeline.counting.settings import FLOOR

#: Pixels of the picture per pixel in which zones are drawn, across and down.
PictureScale = Callable[[TrajectoryRow], tuple[float, float]]


class Position(NamedTuple):
    """A position of one person at one moment.

    Attributes:
        view: camera of a foot point in pixels; `FLOOR` for a position in metres.
        cameras: that saw the person there, sorted.
        linked: a row of the person from this moment.
    """

    time_s: float
    view: str
    global_id: int
    xy: tuple[float, float]
    cameras: tuple[str, ...]
    linked: LinkedRow


def unscaled(row: TrajectoryRow) -> tuple[float, float]:
    """Return (1, 1): zones are drawn in the pixels of the boxes."""
    return 1.0, 1.0


class Positions:
    """Turns rows in order of time into positions.

    The position on the floor is the mean of those that the cameras gave last, none of them older than `same_moment_s`.
    Rows of the same time are taken together, so that their order does not matter.

    Args:
        views: cameras whose foot points are wanted, and `FLOOR`.
        same_moment_s: see above.
        scale: see `PictureScale`.
    """

    def __init__(self, views: Collection[str], same_moment_s: float, scale: PictureScale = unscaled) -> None:
        self._views = frozenset(views)
        self._same_moment_s = same_moment_s
        self._scale = scale
        self._floor: dict[int, dict[str, tuple[float, float, float]]] = {}
        self._floor_s: dict[int, float] = {}

    def of(self, rows: Sequence[LinkedRow]) -> Iterator[Position]:
        """Yield the positions that `rows` give."""
        for time_s, moment in groupby(rows, key=lambda linked: linked.row.time_s):
            people: dict[int, LinkedRow] = {}
            for linked in sorted(
                moment, key=lambda one: (one.link.global_id, one.row.camera_id, one.row.track_id)
            ):
                row, global_id = linked.row, linked.link.global_id
                if row.camera_id in self._views:
                    scale_x, scale_y = self._scale(row)
                    x1, _, x2, y2 = row.xyxy
                    foot = ((x1 + x2) / 2 / scale_x, y2 / scale_y)
                    yield Position(time_s, row.camera_id, global_id, foot, (row.camera_id,), linked)
                if FLOOR in self._views and row.world_xy_m is not None:
                    self._floor.setdefault(global_id, {})[row.camera_id] = (time_s, *row.world_xy_m)
                    people.setdefault(global_id, linked)
            for global_id, linked in people.items():
                yield self._on_floor(time_s, global_id, linked)

    def forget(self, global_id: int) -> None:
        """Forget a person who is not seen any more."""
        self._floor.pop(global_id, None)
        self._floor_s.pop(global_id, None)

    def _on_floor(self, time_s: float, global_id: int, linked: LinkedRow) -> Position:
        # A row that comes late, from a live camera with a longer delay, must not turn the time back.
        time_s = self._floor_s[global_id] = max(time_s, self._floor_s.get(global_id, time_s))
        since_s = time_s - self._same_moment_s
        given = {name: one for name, one in self._floor[global_id].items() if one[0] >= since_s} or {
            linked.row.camera_id: self._floor[global_id][linked.row.camera_id]
        }
        self._floor[global_id] = given
        cameras = tuple(sorted(given))
        x_m = sum(given[name][1] for name in cameras) / len(given)
        y_m = sum(given[name][2] for name in cameras) / len(given)
        return Position(time_s, FLOOR, global_id, (x_m, y_m), cameras, linked)
