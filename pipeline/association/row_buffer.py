"""Holds rows back briefly, so that they are written in order and with the id that linking assigns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.cross_camera.track_record import TrackRecord


class RowBuffer:
    """A queue of rows in order of time, camera and track.

    Args:
        camera_ids: in the order in which rows of the same time are written.
        link_of: called with a track when its row leaves the buffer; returns the track's current link.
        leave_out_still: whether rows of tracks that have never moved so far are left out.
    """

    def __init__(
        self, camera_ids: list[str], link_of: Callable[[TrackRecord], Link], *, leave_out_still: bool
    ) -> None:
        self._camera_row = {name: index for index, name in enumerate(camera_ids)}
        self._link_of = link_of
        self._leave_out_still = leave_out_still
        self._waiting: list[tuple[float, int, int, TrajectoryRow, TrackRecord]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add_camera(self, camera_id: str) -> None:
        """Add a camera, after all others in order."""
        self._camera_row.setdefault(camera_id, len(self._camera_row))

    def add(self, row: TrajectoryRow, record: TrackRecord) -> None:
        """Add a row of the track `record`."""
        self._waiting.append((row.time_s, self._camera_row[row.camera_id], row.track_id, row, record))

    def release(self, before_s: float) -> list[LinkedRow]:
        """Return the rows with a time before `before_s`, in order, with the current links of their tracks."""
        # Old rows are in order and new ones nearly so: sorting takes linear time.
        self._waiting.sort()
        end = bisect_left(self._waiting, before_s, key=lambda waiting: waiting[0])
        released = [
            LinkedRow(row, self._link_of(record))
            for _, _, _, row, record in self._waiting[:end]
            if not (record.still and self._leave_out_still)
        ]
        del self._waiting[:end]
        return released
