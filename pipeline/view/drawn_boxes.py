"""The boxes of a run by camera and time, to draw them on its recordings."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import BoolArray, IntArray, LinkedRow


@dataclass(frozen=True, eq=False)
class BoxesOfFrame:
    """The boxes of one frame.

    Attributes:
        xyxy: (N, 4) float32 in pixels.
        global_ids: (N,) int64.
        interpolated: (N,) bool, True for boxes that no detector saw.
    """

    xyxy: Boxes
    global_ids: IntArray
    interpolated: BoolArray


@dataclass(eq=False)
class _Column:
    time_s: array[float] = field(default_factory=lambda: array("d"))
    global_id: array[int] = field(default_factory=lambda: array("q"))
    interpolated: array[int] = field(default_factory=lambda: array("b"))
    xyxy: array[float] = field(default_factory=lambda: array("f"))


@dataclass(frozen=True, eq=False)
class _Sorted:
    time_s: NDArray[np.float64]
    global_id: IntArray
    interpolated: BoolArray
    xyxy: Boxes


class DrawnBoxes:
    """Collects rows while they are read (33 bytes each), then finds those of a moment."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._sorted: dict[str, _Sorted] = {}
        #: Number of rows so far.
        self.rows = 0

    def watch(self, rows: Iterator[LinkedRow]) -> Iterator[LinkedRow]:
        """Yield the rows and keep their boxes."""
        for linked in rows:
            row = linked.row
            column = self._columns.setdefault(row.camera_id, _Column())
            column.time_s.append(row.time_s)
            column.global_id.append(linked.link.global_id)
            column.interpolated.append(row.interpolated)
            column.xyxy.extend(row.xyxy)
            self.rows += 1
            yield linked

    def finish(self) -> None:
        """Sort the boxes by time; no further rows may follow."""
        for camera_id, column in self._columns.items():
            time_s = np.array(column.time_s, np.float64)
            order = np.argsort(time_s, kind="stable")
            self._sorted[camera_id] = _Sorted(
                time_s[order],
                np.array(column.global_id, np.int64)[order],
                np.array(column.interpolated, np.bool_)[order],
                np.array(column.xyxy, np.float32).reshape(-1, 4)[order],
            )
        self._columns.clear()

    def at(self, camera_id: str, time_s: float, within_s: float) -> BoxesOfFrame:
        """Return the boxes of the tracked frame that is nearest to a time on the clock of the run.

        Args:
            within_s: a frame that is further away has no part in it.
        """
        known = self._sorted.get(camera_id)
        if known is None or not len(known.time_s):
            return BoxesOfFrame(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
        after = int(np.searchsorted(known.time_s, time_s))
        near = known.time_s[max(after - 1, 0) : after + 1]
        nearest = float(near[np.argmin(np.abs(near - time_s))])
        if abs(nearest - time_s) > within_s:
            begin = end = 0
        else:
            begin = int(np.searchsorted(known.time_s, nearest, "left"))
            end = int(np.searchsorted(known.time_s, nearest, "right"))
        return BoxesOfFrame(known.xyxy[begin:end], known.global_id[begin:end], known.interpolated[begin:end])
