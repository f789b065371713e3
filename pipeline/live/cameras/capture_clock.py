"""Determines when a frame was taken, on the clock that all cameras of the run share."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.live.telling.status import TimestampSource

# A camera's clock that is suddenly ahead by more than this has been set.
_JUMP_S = 1.0
# Cheap clocks drift by up to 100 parts in a million; the offset between the clocks may grow at this rate.
_DRIFT = 1e-4
# Smallest step between the times of two frames of a camera: the tracker needs rising times.
_LEAST_STEP_S = 0.001


@dataclass(frozen=True)
class CaptureTime:
    """When a frame was taken.

    Attributes:
        time_s: Unix seconds, rising from frame to frame.
        source: the clock that it comes from.
        age_s: seconds between capture and arrival, as far as they can be known.
        late_s: the part of `age_s` beyond the smallest delay of the camera. A newer frame may avoid it, and errors of
            the camera's clock do not affect it.
        jumped: whether the stream's time jumped at this frame.
    """

    time_s: float
    source: TimestampSource
    age_s: float
    late_s: float
    jumped: bool


class CaptureClock:
    """Converts the times of one camera to those of the run.

    The difference between arrival and the camera's time is smallest for a frame that was not delayed. This smallest
    difference is the offset between the clocks; the rest is delay. The offset may grow slowly, because clocks drift. A
    camera's wall clock is trusted while the offset is small. A clock with a larger offset is corrected by it, which
    leaves an error of one network delay. Without a wall clock, the times of the stream are converted to the host's
    clock in the same way. When a clock is set, forward or back, the offset is measured again.

    Args:
        max_offset_s: a wall clock that differs from the host's by more than this, in s, is corrected.
    """

    def __init__(self, max_offset_s: float) -> None:
        self._max_offset_s = max_offset_s
        self._source: TimestampSource | None = None
        self._camera_s = 0.0
        self._arrived_s = 0.0
        self._offset_s: float | None = None
        self._trusted = True
        self._last_s = float("-inf")
        self._set_by_s = 0.0

    @property
    def offset_s(self) -> float | None:
        """The host's clock minus the camera's wall clock in s; None without a wall clock."""
        return self._offset_s if self._source is TimestampSource.RTCP else None

    def reconnected(self) -> None:
        """Forget the offset: it may not hold for a new connection."""
        self._source = None
        self._offset_s = None

    def stamp(
        self, stream_s: float | None, wall_s: float | None, arrived_s: float, set_by_s: float = 0.0
    ) -> CaptureTime:
        """Return the time of the next frame.

        Args:
            stream_s: time on the stream's own clock in s; None if unknown.
            wall_s: time on the camera's wall clock, Unix seconds; None if unknown.
            arrived_s: Unix seconds on the run's clock.
            set_by_s: seconds by which the run's clock was set forward since the start; the frame is not late by that.
        """
        step_s, self._set_by_s = set_by_s - self._set_by_s, set_by_s
        self._arrived_s += step_s
        if self._offset_s is not None:
            self._offset_s += step_s
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
        """Update the offset; return whether the camera's clock was set."""
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
