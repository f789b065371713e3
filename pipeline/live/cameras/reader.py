"""One connection to one camera, read in a thread of its own until it ends."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.core.redaction import Redactor
from pipeline.live.cameras.camera_record import CameraRecord
from pipeline.live.cameras.capture_clock import CaptureClock, CaptureTime
from pipeline.live.cameras.frame_board import LiveFrame
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.received_packets import ReceivedPackets
from pipeline.live.cameras.still_picture import StillPicture
from pipeline.live.cameras.stream import LiveStream, Picture, StreamOpener
from pipeline.live.host_clock import LiveClock
from pipeline.live.telling.status import TimestampSource

# A stream that arrives in bursts (HLS) gets a new schedule when it falls behind by more than this.
_MAX_REBUFFER_S = 1.0
# Weight of the newest interval in the running mean time between two pictures.
_NEWEST = 0.1

# A connection that ends after so few pictures may be to a camera that takes few.
_FEW_PICTURES = 2
_ONLY_OLD = "the server only sends old video again: what publishes there seems to have stopped"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReaderSettings:
    """Settings of one camera; see `live` in configs/default.yaml.

    Attributes:
        stalled_after_s: a live stream without video for this long has failed.
        file_start_s: for a file: when its first frame is shown, on the monotonic clock; None for live streams.
    """

    max_fps: float
    max_age_s: float
    max_lag_s: float
    file_start_s: float | None = None
    stalled_after_s: float = float("inf")


class Reader:
    """Opens the stream and reads everything from it, so that no buffer on the way fills up and delays frames.

    It ends when the stream ends, or at the next packet after `stop`. A reader that hangs in the driver cannot be ended:
    the supervisor abandons it, and from then on it passes no frames.

    Args:
        received: packets of earlier connections of the camera; None if there was none.
        frame_index: numbers for the frames, which continue across connections.
        capture_clock: clock of the camera; used by one reader at a time.
        show: called with each frame for the detector.
    """

    def __init__(
        self,
        record: CameraRecord,
        opener: StreamOpener,
        settings: ReaderSettings,
        *,
        clock: LiveClock,
        capture_clock: CaptureClock,
        frame_index: Iterator[int],
        show: Callable[[LiveFrame], None],
        redact: Redactor,
        received: ReceivedPackets | None = None,
    ) -> None:
        self._received = received or ReceivedPackets()
        self._record = record
        self._opener = opener
        self._settings = settings
        self._clock = clock
        self._capture_clock = capture_clock
        self._frame_index = frame_index
        self._show = show
        self._redact = redact
        self._stop = threading.Event()
        self._showing = threading.Lock()
        self._next_due_s = float("-inf")
        self._late_since_s: float | None = None
        self._still = StillPicture()
        self._pace: tuple[float, float] | None = None  # a stream time and its monotonic time
        self.started_s = clock.monotonic_s()
        self.progress_s = self.started_s  # the last activity, on the monotonic clock
        self.opened = False
        self.first_picture_s: float | None = None
        self.picture_s: float | None = None
        self.pictures = 0
        self.other_data = False  # whether sound, metadata or the like arrived
        self._only_old = False  # whether everything so far came in an earlier connection
        self.usable_s: float | None = None  # the last picture that was not damaged
        self.period_s = 0.0  # mean time between two pictures
        self.problem: StreamProblem | None = None
        self._thread = threading.Thread(target=self._run, name=f"read-{record.name}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the reader's thread is still running."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End at the next packet; after this call no frame is passed to `show`."""
        # Set before waiting for the lock: the reader takes the lock for every frame, and could pass more frames before
        # this thread gets it.
        self._stop.set()
        with self._showing:
            pass

    def join(self, timeout_s: float) -> bool:
        """Wait for the reader to end; return whether it ended within `timeout_s` seconds."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            stream = self._opener()
            try:
                if not self._stop.is_set():
                    self._read(stream)
            finally:
                stream.close()
        except StreamProblem as problem:
            self.problem = self._explained(problem)
        except Exception as error:
            text = self._redact(f"{type(error).__name__}: {error}")
            # The same error at every attempt is logged once.
            if text != self._record.problem:
                _log.exception("camera %s: the reader failed", self._record.name)
            self.problem = StreamProblem(Reason.NETWORK, text)

    def _read(self, stream: LiveStream) -> None:
        self.opened = True
        self.progress_s = self._clock.monotonic_s()
        self._capture_clock.reconnected()
        self._received.connected()
        for received in stream.packets():
            if self._stop.is_set():
                return
            if not received.video:
                self.other_data = True
                self._check_silent("other data arrives")
                continue
            if self._received.again(received.mark):
                self._only_old = self.picture_s is None
                self._record.dropped("replayed")
                self._check_silent("old video arrives again")
                continue
            self._only_old = False
            self.progress_s = self._clock.monotonic_s()
            self._record.packet()
            if received.lost is not None:
                self._record.dropped(received.lost)
            for picture in received.pictures:
                if stream.paced and not self._wait_until_due(picture):
                    return
                self._take(picture, stream.paced)
        if not self._stop.is_set():
            self.problem = self._explained(StreamProblem(Reason.ENDED, "the stream ended"))

    def _explained(self, problem: StreamProblem) -> StreamProblem:
        """Return the cause behind the end of a connection, if the connection itself does not show it."""
        if self._only_old:
            return StreamProblem(Reason.STALLED, _ONLY_OLD)
        sparse = self.picture_s is not None and problem.reason in (Reason.TIMEOUT, Reason.STALLED)
        if sparse and self.pictures <= _FEW_PICTURES:
            return StreamProblem(
                problem.reason,
                f"{problem.text}; a camera with fewer than one frame per second needs frame_interval_s",
            )
        return problem

    def _check_silent(self, but: str) -> None:
        """Raise StreamProblem if a live stream has brought no new video for too long."""
        silent_s = self._clock.monotonic_s() - self.progress_s
        if self._settings.file_start_s is None and silent_s > self._settings.stalled_after_s:
            raise StreamProblem(Reason.STALLED, f"no video for {silent_s:.1f} s, but {but}")

    def _take(self, picture: Picture, paced: bool) -> None:
        now_s = self._clock.monotonic_s()
        if self.picture_s is not None:
            period_s = now_s - self.picture_s
            self.period_s += (_NEWEST if self.period_s else 1.0) * (period_s - self.period_s)
        self.progress_s = self.picture_s = now_s
        self.pictures += 1
        if self.first_picture_s is None:
            self.first_picture_s = now_s
        captured = self._capture_time(picture, paced, now_s)
        frame = LiveFrame(
            camera_id=self._record.name,
            frame_index=next(self._frame_index),
            time_s=captured.time_s,
            source=captured.source,
            age_s=captured.age_s,
            late_s=captured.late_s,
            arrived_s=now_s,
            size_wh=picture.size_wh,
            to_bgr=picture.to_bgr,
        )
        self._record.frame(frame, self._capture_clock.offset_s, captured.jumped)
        self._check_still(picture, now_s)
        self._check_lag(captured.late_s, now_s)
        if not picture.corrupt:
            self.usable_s = now_s
        cause = self._why_not(frame, picture)
        if cause is not None:
            self._record.dropped(cause)
            return
        with self._showing:
            if not self._stop.is_set():
                self._show(frame)

    def _why_not(self, frame: LiveFrame, picture: Picture) -> str | None:
        """Return why a frame is dropped; None if it goes to the detector."""
        if picture.corrupt:
            return "corrupt"
        if frame.late_s > self._settings.max_age_s:
            return "too_old"
        period_s = 1 / self._settings.max_fps
        # A frame that is early by up to a quarter of a period is jitter, not a higher rate.
        if frame.time_s < self._next_due_s - period_s / 4:
            return "rate_limit"
        late = frame.time_s - self._next_due_s > period_s
        self._next_due_s = (frame.time_s if late else self._next_due_s) + period_s
        return None

    def _check_still(self, picture: Picture, now_s: float) -> None:
        if picture.corrupt or not self._still.is_due(now_s):
            return
        luma = picture.luma()
        if luma is not None:
            self._record.still(self._still.measure(luma, now_s))

    def _check_lag(self, late_s: float, now_s: float) -> None:
        """Raise StreamProblem for a stream that stays late: it has a backlog, which only a new connection removes.

        A file that is late would be read from its beginning again, and so be later each time.
        """
        if self._settings.file_start_s is not None:
            return
        if late_s <= self._settings.max_age_s:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = now_s
        elif now_s - self._late_since_s > self._settings.max_lag_s:
            raise StreamProblem(Reason.LAGGING, f"the stream stays {late_s:.1f} s behind")

    # -- files and streams that arrive in bursts: played at the speed of capture --------------------------------

    def _wait_until_due(self, picture: Picture) -> bool:
        """Wait until a picture is due; return False if stopped meanwhile."""
        due_s = self._due_s(picture)
        while (left_s := due_s - self._clock.monotonic_s()) > 0:
            self.progress_s = self._clock.monotonic_s()
            if self._stop.wait(min(left_s, 0.5)):
                return False
        return True

    def _due_s(self, picture: Picture) -> float:
        now_s = self._clock.monotonic_s()
        stream_s = picture.stream_s
        if stream_s is None:
            return now_s
        if self._pace is None:
            start_s = self._settings.file_start_s
            self._pace = (stream_s, now_s if start_s is None else start_s)
        due_s = self._pace[1] + stream_s - self._pace[0]
        if self._settings.file_start_s is None and now_s - due_s > _MAX_REBUFFER_S:
            self._pace = (stream_s, now_s)
            return now_s
        return due_s

    def _capture_time(self, picture: Picture, paced: bool, now_s: float) -> CaptureTime:
        if not paced or picture.stream_s is None or self._pace is None:
            set_by_s = self._clock.set_by_s
            return self._capture_clock.stamp(picture.stream_s, picture.wall_s, self._clock.utc_s(now_s), set_by_s)
        # The time at which the picture was due; the other cameras that play files follow the same schedule.
        due_s = self._pace[1] + picture.stream_s - self._pace[0]
        captured = self._capture_clock.stamp(None, None, self._clock.utc_s(due_s), self._clock.set_by_s)
        is_file = self._settings.file_start_s is not None
        source = TimestampSource.FILE if is_file else TimestampSource.HOST
        late_s = max(now_s - due_s, 0.0)
        return CaptureTime(captured.time_s, source, late_s, late_s, False)


def frame_numbers() -> Iterator[int]:
    """Return 0, 1, 2, ...; one iterator for each camera, kept across its connections."""
    return itertools.count()
