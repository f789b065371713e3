"""When a frame was taken, on the clock that all cameras of the run share."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.live.telling.status import TimestampSource

# A camera's clock that is ahead of all that was seen before by more than this has been set.
_JUMP_S = 1.0
# Cheap clocks drift by up to 100 parts in a million; the smallest delay may grow with that.
_DRIFT = 1e-4
# Frames of one camera are at least so far apart: a tracker needs times that rise.
_LEAST_STEP_S = 0.001


@dataclass(frozen=True)
class CaptureTime:
    """
    Attributes:
        time_s: Unix seconds, rising from frame to frame.
        source: whose clock it is.
        age_s: seconds between taking and arrival, as far as they can be known.
        late_s: of these, how long it was held up beyond the camera's least delay: what a fresher frame may be spared,
            and no error of the camera's clock is in.
        jumped: the stream's time jumped at this frame.
    """

    time_s: float
    source: TimestampSource
    age_s: float
    late_s: float
    jumped: bool


class CaptureClock:
    """Turns the times of one camera into those of the run.

    The difference between arrival and the camera's time is smallest for a frame that was not held up; that smallest
    difference (allowed to grow slowly, because clocks drift) is the offset between the clocks, and what a frame has
    beyond it is delay. A camera's wall clock is believed while the offset is small. A clock that is wrong by more is
    corrected by the offset, which leaves the error of one way through the network. Without a wall clock the times of
    the stream are placed on the host's clock in the same way. A clock that is set, forward or back, starts anew.

    Args:
        max_offset_s: a wall clock that differs by more from the host's is corrected.
    """

    def __init__(self, max_offset_s: float) -> None:
        self._max_offset_s = max_offset_s
        self._source: TimestampSource | None = None
        self._camera_s = 0.0
        self._arrived_s = 0.0
        self._offset_s: float | None = None
        self._trusted = True
        self._last_s = float("-inf")

    @property
    def offset_s(self) -> float | None:
        """The host's clock minus the camera's wall clock; None without one."""
        return self._offset_s if self._source is TimestampSource.RTCP else None

    def reconnected(self) -> None:
        """A new connection: what was known of the camera's clock may not hold any more."""
        self._source = None
        self._offset_s = None

    def stamp(self, stream_s: float | None, wall_s: float | None, arrived_s: float) -> CaptureTime:
        """The time of the next frame.

        Args:
            stream_s: on the stream's own clock. wall_s: on the camera's wall clock. None where unknown.
            arrived_s: Unix seconds on the run's clock.
        """
        source = TimestampSource.HOST if wall_s is None else TimestampSource.RTCP
        camera_s = stream_s if wall_s is None else wall_s
        if camera_s is None:
            return CaptureTime(self._rising(arrived_s), source, 0.0, 0.0, False)
        jumped = self._follow(source, camera_s, arrived_s)
        assert self._offset_s is not None
        late_s = max(arrived_s - camera_s - self._offset_s, 0.0)
        if source is TimestampSource.RTCP:
            limit_s = self._max_offset_s if self._trusted else self._max_offset_s / 2
            self._trusted = abs(self._offset_s) <= limit_s
        if source is TimestampSource.RTCP and self._trusted:
            time_s = self._rising(camera_s)
            return CaptureTime(time_s, source, max(arrived_s - time_s, late_s), late_s, jumped)
        time_s = self._rising(camera_s + self._offset_s)
        if source is TimestampSource.RTCP:
            source = TimestampSource.RTCP_CORRECTED
        return CaptureTime(time_s, source, late_s, late_s, jumped)

    def _follow(self, source: TimestampSource, camera_s: float, arrived_s: float) -> bool:
        """Update the offset; whether the camera's clock was set."""
        sample_s = arrived_s - camera_s
        if source is not self._source or self._offset_s is None:
            self._source, self._offset_s, jumped = source, sample_s, False
        elif camera_s < self._camera_s or sample_s < self._offset_s - _JUMP_S:
            self._offset_s, jumped = sample_s, True
        else:
            drift_s = _DRIFT * max(arrived_s - self._arrived_s, 0.0)
            self._offset_s, jumped = min(self._offset_s + drift_s, sample_s), False
        self._camera_s, self._arrived_s = camera_s, arrived_s
        return jumped

    def _rising(self, time_s: float) -> float:
        self._last_s = max(time_s, self._last_s + _LEAST_STEP_S)
        return self._last_s
