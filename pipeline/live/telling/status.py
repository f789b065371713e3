"""The status of a live run, for the terminal, the web page and the metrics.

All texts here are redacted: none contains a password or the user name of a URL.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class CameraState(StrEnum):
    """The current state of a camera.

    CONNECTING: the stream is being opened, or no picture has arrived yet.
    UP: pictures arrive.
    STALLED: it was up and has been silent for too long; if that lasts, the connection is abandoned.
    WAITING: not connected; the next attempt follows soon.
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
    """The clock that the time of a frame comes from.

    RTCP: the camera's own wall clock. RTCP_CORRECTED: the same, corrected to this machine's clock because it differs
    too much. HOST: the time of arrival here. FILE: the times of the recording, counted from the start of the run.
    """

    RTCP = "rtcp"
    RTCP_CORRECTED = "rtcp_corrected"
    HOST = "host"
    FILE = "file"


@dataclass(frozen=True)
class CameraStatus:
    """Status of one camera.

    Attributes:
        name: as in the configuration.
        state: see `CameraState`.
        fps: frames per second that arrived, over the last few seconds.
        used_fps, skipped_fps: the same for frames that went through the detector, and for those that did not.
        frame_age_s: seconds since the newest frame was taken; it grows while nothing arrives. None before the first.
        received: video packets received.
        decoded: pictures decoded from them.
        inferred: frames that went through the detector.
        quiet: those of them that it did not search, because nobody was there and nothing moved.
        dropped: frames that did not go through the detector, by cause: too_old, corrupt, no_keyframe, rate_limit,
            outside_crop, detector_error, overwritten (a newer frame arrived), reload (taken before the camera was
            changed), replayed (received in an earlier connection).
        reconnects: connections that ended or could not be made, by reason: refused, timeout, ended, denied, not_found,
            stalled, lagging, codec, network, reload.
        abandoned: readers that did not return and were replaced.
        people: people, or objects of all tracked classes, in view in the newest frame.
        timestamps: the clock that the times of frames come from; None before the first frame.
        clock_offset_s: the host's clock minus the camera's, including the network delay; None without a camera clock.
        clock_jumps: how often the stream's times jumped.
        problem: description of the last one; empty if there was none since the camera came up.
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
    used_fps: float = 0.0
    skipped_fps: float = 0.0
    quiet: int = 0


@dataclass(frozen=True)
class SinkStatus:
    """Status of one sink besides the CSV.

    Attributes:
        name: its type and address, without secrets.
        rows: rows delivered so far.
        errors: failed attempts.
        lost: rows that were discarded because too many waited.
        problem: why the last attempt failed; empty while it works.
        waiting: rows that wait for delivery.
    """

    name: str
    rows: int
    errors: int
    lost: int
    problem: str
    waiting: int = 0


#: Upper limits of the classes of stays, in s; longer stays are in one more class.
DWELL_LIMITS_S = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)


@dataclass(frozen=True)
class Dwells:
    """Lengths of the stays in a zone that have ended.

    Attributes:
        numbers: stays in each class of `DWELL_LIMITS_S`, and longer ones.
        total_s: of all stays.
    """

    numbers: tuple[int, ...] = (0,) * (len(DWELL_LIMITS_S) + 1)
    total_s: float = 0.0

    def with_stay(self, dwell_s: float) -> Dwells:
        """Return the lengths with one more stay."""
        place = bisect_left(DWELL_LIMITS_S, dwell_s)
        numbers = (*self.numbers[:place], self.numbers[place] + 1, *self.numbers[place + 1 :])
        return Dwells(numbers, self.total_s + dwell_s)


@dataclass(frozen=True)
class LiveCounts:
    """People at zones and lines in a run so far.

    Attributes:
        inside: zone -> people inside now.
        entered, left, merged: zone -> number of these events.
        crossed: (line, direction) -> crossings.
        dwells: zone -> lengths of the stays that ended.
    """

    inside: Mapping[str, int] = field(default_factory=dict)
    entered: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    merged: Mapping[str, int] = field(default_factory=dict)
    crossed: Mapping[tuple[str, str], int] = field(default_factory=dict)
    dwells: Mapping[str, Dwells] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveStatus:
    """Status of the whole run.

    Attributes:
        utc: time of this status.
        run_id: part of the names of the output files.
        uptime_s: seconds since the start.
        cameras: in the order of the configuration.
        identities_now: in view of some camera.
        identities_total: identities in this run.
        identities_known: held in memory, so that they can be recognised again.
        rows_written, rows_waiting, rows_lost: rows in the files; rows in memory, not yet in the files; discarded rows.
        writer_ok: False while something cannot be written; then `writer_problem` says what and why.
        since_fsync_s: seconds since all written rows were last forced to the disk; None before the first time.
        batch_size: frames in a batch of the detector, running mean.
        stage_latency_s: running mean of the seconds per batch, by stage: wait, detect, embed, track, link, write.
        row_latency_s: seconds from capture to the row in the file, the quantiles 0.5 and 0.99 of the last rows; empty
            before the first.
        frame_age_s: seconds from capture to the end of tracking, the same quantiles of the last frames.
        memory_bytes: resident memory of the process.
        detector_problem: why the last batch failed in the detector; empty if it did not.
        stuck: which part has not returned from its work, and for how long; empty if none is stuck.
        alive: False if tracking does not go on without a restart of the program.
        clock_ahead_s: seconds by which the times of rows are ahead, because the machine's clock was set back.
        embedder_failures: batches whose crops got no embedding because the embedder failed.
        sinks: see `SinkStatus`.
        reloads: number of configurations that were applied since the start.
        reload_problem: why the last configuration was not applied; empty if it was.
        identities_by_class: `identities_total` by the name of the class.
        counts: people at zones and lines; None without any.
        identities_most: largest number held in memory, besides those in view.
        identities_forgotten: identities that were forgotten, by reason: unseen (not seen for `identity_memory_s`),
            surplus (before that, because there were too many).
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
    stuck: str = ""
    alive: bool = True
    clock_ahead_s: float = 0.0
    embedder_failures: int = 0
    sinks: tuple[SinkStatus, ...] = field(default=())
    reloads: int = 0
    reload_problem: str = ""
    identities_by_class: Mapping[str, int] = field(default_factory=dict)
    counts: LiveCounts | None = None
    identities_most: int = 0
    identities_forgotten: Mapping[str, int] = field(default_factory=dict)

    @property
    def counted(self) -> str:
        """What the numbers count: people, or objects if other classes were seen as well."""
        return "people" if self.identities_by_class.keys() <= {"person"} else "objects"

    @property
    def ready(self) -> bool:
        """Whether the run does its work: a camera is up, the disk accepts rows, and no part is stuck."""
        return not self.why_not_ready

    @property
    def why_not_ready(self) -> str:
        """Why the run does not do its work; empty if it does. Contains no names of cameras and files."""
        if not self.writer_ok:
            return "the disk accepts no rows"
        if self.stuck:
            return self.stuck
        if not any(camera.state is CameraState.UP for camera in self.cameras):
            return "no camera is up"
        return ""


class StatusSource(Protocol):
    """Gives the status at any moment, from any thread, without waiting for the run."""

    def status(self) -> LiveStatus:
        """Return the current status."""

    def cameras(self) -> tuple[CameraStatus, ...]:
        """Return the status of the cameras alone, which costs less."""
