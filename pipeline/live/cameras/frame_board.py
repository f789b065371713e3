"""Passes frames from the readers to the detector: the newest frame of every camera, and nothing older."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.live.host_clock import LiveClock
from pipeline.live.telling.status import TimestampSource


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A decoded frame whose pixels are converted on demand.

    Attributes:
        camera_id, frame_index: the camera, and the number of its frame in this run, from 0.
        time_s: when it was taken, Unix seconds.
        source: the clock that `time_s` comes from.
        age_s: age in s at `arrived_s`.
        late_s: delay in s at `arrived_s`, beyond the smallest delay of the camera.
        arrived_s: time of arrival on the monotonic clock.
        size_wh: (width, height) in pixels.
        to_bgr: returns (H, W, 3) uint8 BGR.
    """

    camera_id: str
    frame_index: int
    time_s: float
    source: TimestampSource
    age_s: float
    late_s: float
    arrived_s: float
    size_wh: tuple[int, int]
    to_bgr: Callable[[], NDArray[np.uint8]]

    def late_at(self, monotonic_s: float) -> float:
        """Return the delay in s at a time of the monotonic clock. A newer frame would avoid it."""
        return self.late_s + (monotonic_s - self.arrived_s)


class FrameBoard:
    """Holds at most one frame of each camera; a newer frame replaces one that was not taken.

    Args:
        on_dropped: called with (camera, cause) for each frame that was not taken.
    """

    def __init__(self, clock: LiveClock, on_dropped: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._on_dropped = on_dropped
        self._frames: dict[str, LiveFrame] = {}
        self._expected: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, frame: LiveFrame) -> None:
        """Store a new frame; never blocks."""
        with self._changed:
            overwritten = frame.camera_id in self._frames
            self._frames[frame.camera_id] = frame
            self._expected.add(frame.camera_id)
            self._changed.notify()
        if overwritten:
            self._on_dropped(frame.camera_id, "overwritten")

    def do_not_expect(self, camera_id: str) -> None:
        """Mark a camera as down: batches do not wait for it until it delivers a frame again."""
        with self._changed:
            self._expected.discard(camera_id)
            self._changed.notify()

    def forget(self, camera_id: str) -> None:
        """Drop the stored frame of a camera whose connection is replaced or closed."""
        with self._changed:
            dropped = self._frames.pop(camera_id, None)
            self._expected.discard(camera_id)
            self._changed.notify()
        if dropped is not None:
            self._on_dropped(camera_id, "reload")

    def take(self, *, wait_s: float, batch_wait_s: float, max_age_s: float) -> list[LiveFrame]:
        """Take all stored frames, in order of time.

        Args:
            wait_s: longest wait in s for the first frame; after that the list is empty.
            batch_wait_s: longest further wait in s for the other cameras that are up.
            max_age_s: frames with a longer delay, in s, are dropped instead.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._frames or self._closed, wait_s):
                return []
            self._changed.wait_for(lambda: self._expected <= self._frames.keys() or self._closed, batch_wait_s)
            taken = sorted(self._frames.values(), key=lambda frame: frame.time_s)
            self._frames = {}
        now_s = self._clock.monotonic_s()
        fresh = [frame for frame in taken if frame.late_at(now_s) <= max_age_s]
        for frame in taken:
            if frame not in fresh:
                self._on_dropped(frame.camera_id, "too_old")
        return fresh

    @property
    def empty(self) -> bool:
        """Whether no frame is stored."""
        return not self._frames

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
