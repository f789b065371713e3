"""Between the readers and the detector: the freshest frame of every camera, and nothing older."""

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
    """A decoded frame whose pixels are made when somebody wants them.

    Attributes:
        camera_id, frame_index: the camera, and the number of its frame in this run, from 0.
        time_s: when it was taken, Unix seconds.
        source: whose clock says so.
        age_s: how old it was at `arrived_s`, which is on the monotonic clock.
        late_s: how long it had been held up by then, beyond the camera's least delay.
        size_wh: (width, height) in pixels.
        to_bgr: gives (H, W, 3) uint8 BGR.
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

    def age_at(self, monotonic_s: float) -> float:
        """Seconds since it was taken, at a moment of the monotonic clock."""
        return self.age_s + (monotonic_s - self.arrived_s)

    def late_at(self, monotonic_s: float) -> float:
        """How long it has been held up, at a moment of the monotonic clock: what a fresher frame would be spared."""
        return self.late_s + (monotonic_s - self.arrived_s)


class FrameBoard:
    """One place for each camera. A frame that nobody took makes room for a fresher one.

    Args:
        on_dropped: told (camera, cause) of every frame that was not taken.
    """

    def __init__(self, clock: LiveClock, on_dropped: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._on_dropped = on_dropped
        self._frames: dict[str, LiveFrame] = {}
        self._expected: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, frame: LiveFrame) -> None:
        """Show a fresh frame; never waits."""
        with self._changed:
            overwritten = frame.camera_id in self._frames
            self._frames[frame.camera_id] = frame
            self._expected.add(frame.camera_id)
            self._changed.notify()
        if overwritten:
            self._on_dropped(frame.camera_id, "overwritten")

    def do_not_expect(self, camera_id: str) -> None:
        """The camera is down; batches do not wait for it until it shows a frame again."""
        with self._changed:
            self._expected.discard(camera_id)
            self._changed.notify()

    def forget(self, camera_id: str) -> None:
        """Another connection takes the camera's place: what the old one showed last is dropped."""
        with self._changed:
            dropped = self._frames.pop(camera_id, None)
            self._expected.discard(camera_id)
            self._changed.notify()
        if dropped is not None:
            self._on_dropped(camera_id, "reload")

    def take(self, *, wait_s: float, batch_wait_s: float, max_age_s: float) -> list[LiveFrame]:
        """Every frame that is there, in order of time.

        Args:
            wait_s: for the first one; an empty list after that.
            batch_wait_s: then for the other cameras that are up.
            max_age_s: frames that were held up for longer are dropped instead.
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
        """No frame waits."""
        return not self._frames

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
