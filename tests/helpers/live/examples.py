"""Rows, corrections and a status for tests of what live tracking gives out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipeline.core.datatypes import Correction, Link, LinkedRow, TrajectoryRow
from pipeline.live.telling.metrics import Metrics
from pipeline.live.telling.status import CameraState, CameraStatus, Dwells, LiveCounts, LiveStatus, TimestampSource

NOW_S = 1_777_630_000.0  # 2026-05-01T10:06:40Z


def make_row(
    global_id: int = 1,
    camera_id: str = "entrance",
    track_id: int = 1,
    time_s: float = NOW_S,
    *,
    frame_index: int = 0,
    xyxy: tuple[float, float, float, float] = (10.0, 20.0, 50.0, 120.0),
    world_xy_m: tuple[float, float] | None = None,
    final: bool = False,
    class_name: str = "person",
) -> LinkedRow:
    """A row of a live run; its time is in Unix seconds."""
    row = TrajectoryRow(
        camera_id=camera_id,
        track_id=track_id,
        frame_index=frame_index,
        time_s=time_s,
        class_name=class_name,
        xyxy=xyxy,
        confidence=0.87654,
        world_xy_m=world_xy_m,
    )
    return LinkedRow(row, Link(global_id, 0.75, final))


def make_remap(provisional_id: int, global_id: int, camera_id: str = "hall", track_id: int = 4) -> Correction:
    """A correction found at `NOW_S`."""
    return Correction(NOW_S, camera_id, track_id, provisional_id, global_id, 0.9)


def make_camera(name: str = "entrance", **changes: Any) -> CameraStatus:
    """A camera that is up, with some fields changed."""
    camera = CameraStatus(
        name=name,
        state=CameraState.UP,
        fps=9.8,
        frame_age_s=0.12,
        received=1000,
        decoded=990,
        inferred=980,
        quiet=300,
        dropped={"overwritten": 8, "corrupt": 2},
        reconnects={"timeout": 1},
        abandoned=0,
        people=2,
        timestamps=TimestampSource.RTCP,
        clock_offset_s=0.03,
        clock_jumps=0,
        problem="",
        size_wh=(1280, 720),
    )
    return replace(camera, **changes)


def make_status(*cameras: CameraStatus, **changes: Any) -> LiveStatus:
    """A run that is well, with these cameras and some fields changed."""
    status = LiveStatus(
        utc=datetime.fromtimestamp(NOW_S, UTC),
        run_id="20260501T100000",
        uptime_s=400.0,
        cameras=cameras,
        identities_now=2,
        identities_total=7,
        identities_known=7,
        identities_most=5000,
        identities_forgotten={"unseen": 3, "surplus": 0},
        rows_written=1234,
        rows_waiting=0,
        rows_lost=0,
        writer_ok=True,
        writer_problem="",
        since_fsync_s=0.4,
        batch_size=2.0,
        stage_latency_s={"detect": 0.03},
        row_latency_s={0.5: 0.4, 0.99: 0.7},
        frame_age_s={0.5: 0.1, 0.99: 0.3},
        memory_bytes=500_000_000,
    )
    return replace(status, **changes)


def make_counts() -> LiveCounts:
    """Numbers of one zone and one line."""
    return LiveCounts(
        {"shop": 2},
        {"shop": 5},
        {"shop": 2},
        {"shop": 1},
        {("door", "in"): 4, ("door", "out"): 3},
        {"shop": Dwells().with_stay(7.5).with_stay(300.0)},
    )


class FixedStatus:
    """A source of whatever status it holds."""

    def __init__(self, status: LiveStatus) -> None:
        self.now = status

    def status(self) -> LiveStatus:
        """The one it holds."""
        return self.now

    def cameras(self) -> tuple[CameraStatus, ...]:
        """Those of it."""
        return self.now.cameras


def watching(source: FixedStatus) -> Metrics:
    """The metrics of this source."""
    metrics = Metrics()
    metrics.watch(source)
    return metrics
