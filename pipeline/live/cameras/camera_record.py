"""Counters of one camera: written by its readers and the detector, read by the status."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque

from pipeline.live.cameras.frame_board import LiveFrame
from pipeline.live.host_clock import LiveClock
from pipeline.live.telling.status import CameraState, CameraStatus, TimestampSource

# Window over which frames per second are counted; the longer one holds for cameras with few frames.
_RATE_WINDOW_S = 5.0
_SPARSE_RATE_WINDOW_S = 60.0
_SPARSE_FRAMES = 3
# Shortest window, because the first frames of a connection may arrive all at once.
_LEAST_RATE_WINDOW_S = 1.0
# Shortest time between two log messages about time jumps of a stream.
_TELL_JUMPS_S = 60.0

_log = logging.getLogger(__name__)


class _Rate:
    """Counts events per second over the last few seconds."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=1000)

    def add(self, now_s: float) -> None:
        self._times_s.append(now_s)

    def per_second(self, now_s: float) -> float:
        times_s = self._times_s
        while times_s and (
            now_s - times_s[0] > _SPARSE_RATE_WINDOW_S
            or (now_s - times_s[0] > _RATE_WINDOW_S and len(times_s) > _SPARSE_FRAMES)
        ):
            times_s.popleft()
        if len(times_s) < 2:
            return 0.0
        # Measured until now, not until the newest frame, so that the rate of a silent camera falls.
        return (len(times_s) - 1) / max(now_s - times_s[0], _LEAST_RATE_WINDOW_S)


class CameraRecord:
    """Counters and state of one camera; every method may be called from any thread."""

    def __init__(self, name: str, clock: LiveClock) -> None:
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._state = CameraState.CONNECTING
        self._arrivals, self._used, self._skipped = _Rate(), _Rate(), _Rate()
        self._received = 0
        self._decoded = 0
        self._inferred = 0
        self._quiet = 0
        self._dropped: Counter[str] = Counter()
        self._reconnects: Counter[str] = Counter()
        self._abandoned = 0
        self._jumps = 0
        self._jump_told_s = float("-inf")
        self._corrected = False
        self._people = 0
        self._problem = ""
        self._newest: tuple[float, float] | None = None  # (age at arrival, arrival)
        self._source: TimestampSource | None = None
        self._offset_s: float | None = None
        self._size_wh: tuple[int, int] | None = None
        self._still_s: float | None = None

    @property
    def state(self) -> CameraState:
        """The current state of the camera."""
        return self._state

    @property
    def problem(self) -> str:
        """Description of the last problem; empty if there was none since the camera came up."""
        return self._problem

    def set_state(self, state: CameraState, problem: str | None = None) -> None:
        """Set the state; `problem` None keeps the text, an empty one clears it."""
        with self._lock:
            self._state = state
            if problem is not None:
                self._problem = problem
            if state not in (CameraState.UP, CameraState.STALLED):
                self._people = 0

    def packet(self) -> None:
        """Count a received packet."""
        with self._lock:
            self._received += 1

    def frame(self, frame: LiveFrame, offset_s: float | None, jumped: bool) -> None:
        """Count a decoded frame, and keep its times and size.

        Args:
            offset_s: the host's clock minus the camera's wall clock in s; None if unknown.
            jumped: whether the stream's time jumped at this frame.
        """
        with self._lock:
            self._decoded += 1
            self._arrivals.add(frame.arrived_s)
            self._newest = (frame.age_s, frame.arrived_s)
            self._source = frame.source
            self._offset_s = offset_s
            self._jumps += jumped
            self._size_wh = frame.size_wh
        self._tell_clock(frame, offset_s, jumped)

    def _tell_clock(self, frame: LiveFrame, offset_s: float | None, jumped: bool) -> None:
        """Log changes of the camera's clock; called in the thread that reads the camera."""
        if jumped and frame.arrived_s - self._jump_told_s >= _TELL_JUMPS_S:
            self._jump_told_s = frame.arrived_s
            _log.warning(
                "camera %s: its clock or the times of its stream jumped (%d times so far); row times continue evenly",
                self.name,
                self._jumps,
            )
        if frame.source not in (TimestampSource.RTCP, TimestampSource.RTCP_CORRECTED):
            return
        corrected = frame.source is TimestampSource.RTCP_CORRECTED
        if corrected is self._corrected:
            return
        self._corrected = corrected
        if corrected:
            _log.warning(
                "camera %s: its clock is %+.1f s from this machine's, more than live.max_clock_offset_s; its times are "
                "corrected by that. Let camera and machine use the same time server",
                self.name,
                -(offset_s or 0.0),
            )
        else:
            _log.warning("camera %s: its clock is right again; its times are used unchanged", self.name)

    def still(self, seconds: float) -> None:
        """Set for how many seconds the picture has not changed."""
        with self._lock:
            self._still_s = seconds

    def inferred(self, *, quiet: bool = False) -> None:
        """Count a frame that went through the detector; `quiet`: it was not searched, because nobody was there and
        nothing moved."""
        with self._lock:
            self._inferred += 1
            self._quiet += quiet
            self._used.add(self._clock.monotonic_s())

    def people(self, count: int) -> None:
        """Set the number of people in view."""
        with self._lock:
            self._people = count

    def dropped(self, cause: str) -> None:
        """Count a frame that did not go through the detector."""
        with self._lock:
            self._dropped[cause] += 1
            self._skipped.add(self._clock.monotonic_s())

    def disconnected(self, reason: str) -> None:
        """Count a connection that ended or could not be made."""
        with self._lock:
            self._reconnects[reason] += 1

    def abandoned(self) -> None:
        """Count a reader that did not return and was replaced."""
        with self._lock:
            self._abandoned += 1

    def status(self) -> CameraStatus:
        """Return all figures at this moment."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            return CameraStatus(
                name=self.name,
                state=self._state,
                fps=self._arrivals.per_second(now_s),
                used_fps=self._used.per_second(now_s),
                skipped_fps=self._skipped.per_second(now_s),
                frame_age_s=None if self._newest is None else self._newest[0] + now_s - self._newest[1],
                received=self._received,
                decoded=self._decoded,
                inferred=self._inferred,
                quiet=self._quiet,
                dropped=dict(self._dropped),
                reconnects=dict(self._reconnects),
                abandoned=self._abandoned,
                people=self._people,
                timestamps=self._source,
                clock_offset_s=self._offset_s,
                clock_jumps=self._jumps,
                problem=self._problem,
                size_wh=self._size_wh,
                still_s=self._still_s if self._state is CameraState.UP else None,
            )
