"""What a live run tells about itself: to the terminal, to the web page and to the metrics.

All texts here are redacted: no password and no user name of a URL is in any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class CameraState(StrEnum):
    """What a camera does at the moment.

    CONNECTING: the stream is being opened, or no picture has come yet.
    UP: pictures come.
    STALLED: it was up and has been silent for too long; the connection is being given up.
    WAITING: not connected; the next attempt is due in a moment.
    DENIED: not connected because of a wrong password or missing rights; attempts are far apart.
    ENDED: a file that was played to its end.
    """

    CONNECTING = "connecting"
    UP = "up"
    STALLED = "stalled"
    WAITING = "waiting"
    DENIED = "denied"
    ENDED = "ended"


class TimestampSource(StrEnum):
    """Whose clock says when a frame was taken.

    RTCP: the camera's own wall clock. RTCP_CORRECTED: the same, moved to this machine's clock, from which it is too far
    off. HOST: the time of arrival here. FILE: the recording's times, played from now.
    """

    RTCP = "rtcp"
    RTCP_CORRECTED = "rtcp_corrected"
    HOST = "host"
    FILE = "file"


@dataclass(frozen=True)
class CameraStatus:
    """One camera.

    Attributes:
        name: as in the configuration.
        state: see `CameraState`.
        fps: frames per second that came, over the last few seconds.
        frame_age_s: seconds since the newest frame was taken; it grows while nothing comes. None before the first.
        received: packets of pictures that came.
        decoded: pictures that they gave.
        inferred: frames that went through the detector.
        dropped: frames that were not looked at, by cause: overwritten (a fresher one came), too_old, corrupt,
            no_keyframe, rate_limit, outside_crop, detector_error, reload (taken before the camera was changed).
        reconnects: connections that ended or could not be made, by reason: refused, timeout, ended, denied,
            not_found, stalled, lagging, codec, network, reload.
        abandoned: readers that did not return and were replaced.
        people: in view in the newest frame.
        timestamps: None before the first frame.
        clock_offset_s: the host's clock minus the camera's, including the way here; None without a camera clock.
        clock_jumps: how often the stream's times jumped.
        problem: the last one, in words, '' if there was none since the camera came up.
        size_wh: (width, height) of the newest frame in pixels; None before the first.
        still_s: seconds for which the picture has not changed; None while the camera is not up.
    """

    name: str
    state: CameraState
    fps: float
    frame_age_s: float | None
    received: int
    decoded: int
    inferred: int
    dropped: Mapping[str, int]
    reconnects: Mapping[str, int]
    abandoned: int
    people: int
    timestamps: TimestampSource | None
    clock_offset_s: float | None
    clock_jumps: int
    problem: str
    size_wh: tuple[int, int] | None
    still_s: float | None = None


@dataclass(frozen=True)
class SinkStatus:
    """One sink besides the CSV.

    Attributes:
        name: its type and place, without secrets.
        rows: handed over so far.
        errors: failed attempts.
        lost: rows that were given up because too many waited.
        problem: why the last attempt failed, '' while it works.
        waiting: rows that are still to be handed over.
    """

    name: str
    rows: int
    errors: int
    lost: int
    problem: str
    waiting: int = 0


@dataclass(frozen=True)
class LiveStatus:
    """The whole run.

    Attributes:
        utc: when this was written down.
        run_id: part of the names of the output files.
        uptime_s: seconds since the start.
        cameras: in the order of the configuration.
        identities_now: in view of some camera.
        identities_total: people told apart in this run.
        identities_known: held in memory, so that they can be found again.
        rows_written, rows_waiting, rows_lost: in the files; in memory while the disk takes none; given up.
        writer_ok: False while the disk takes nothing; then `writer_problem` says why.
        since_fsync_s: since all written rows were last forced to the disk; None before the first time.
        batch_size: frames in a batch of the detector, the mean of the last ones.
        stage_latency_s: mean seconds of the last batches by stage: wait, detect, embed, track, link, write.
        row_latency_s: from capture to the row in the file, the quantiles 0.5 and 0.99 of the last rows; empty
            before the first.
        frame_age_s: from capture to the end of its tracking, the same quantiles of the last frames.
        memory_bytes: resident memory of the process.
        detector_problem: why the last batch failed in the detector, '' if it did not.
        embedder_failures: batches whose crops got no embedding because the embedder failed.
        sinks: see `SinkStatus`.
        reloads: configurations taken over since the start.
        reload_problem: why the last configuration was not taken over, '' if it was.
    """

    utc: datetime
    run_id: str
    uptime_s: float
    cameras: tuple[CameraStatus, ...]
    identities_now: int
    identities_total: int
    identities_known: int
    rows_written: int
    rows_waiting: int
    rows_lost: int
    writer_ok: bool
    writer_problem: str
    since_fsync_s: float | None
    batch_size: float
    stage_latency_s: Mapping[str, float]
    row_latency_s: Mapping[float, float]
    memory_bytes: int
    frame_age_s: Mapping[float, float] = field(default_factory=dict)
    detector_problem: str = ""
    embedder_failures: int = 0
    sinks: tuple[SinkStatus, ...] = field(default=())
    reloads: int = 0
    reload_problem: str = ""

    @property
    def ready(self) -> bool:
        """Whether anything is being watched and kept: a camera is up and the disk takes rows."""
        return self.writer_ok and any(camera.state is CameraState.UP for camera in self.cameras)


class StatusSource(Protocol):
    """Gives the status at any moment, from any thread, without waiting for the run."""

    def status(self) -> LiveStatus:
        """The status as it is now."""

    def cameras(self) -> tuple[CameraStatus, ...]:
        """That part of it alone, which costs less."""
