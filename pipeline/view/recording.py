"""Reads single frames of the recording of a camera, in any order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.sources.base import BrokenSource, FrameSource

# Times of rows are rounded to milliseconds.
_ROUNDED_S = 0.002
# Up to this distance it is quicker to decode on than to enter the file anew.
_DECODED_ON_S = 3.0
# A frame is shown for this long if no other follows.
_LAST_SHOWN_S = 1.0


@dataclass(frozen=True, eq=False)
class Shown:
    """The frame of a moment.

    Attributes:
        next_time_s: time of the frame after it; None at the end.
        period_s: mean time between two frames.
    """

    frame: Frame
    next_time_s: float | None
    period_s: float


@dataclass(frozen=True)
class Opened:
    """A recording that was opened.

    Attributes:
        start_s: time of its first frame on the clock of the run.
        clock_rate: seconds of that clock per second of the recording.
    """

    source: FrameSource
    start_s: float
    clock_rate: float


class Recording:
    """Keeps the recording of one camera open where it was read last; used by several threads.

    Args:
        open_recording: opens it anew.
    """

    def __init__(self, open_recording: Callable[[], Opened]) -> None:
        self._open_recording = open_recording
        self._lock = threading.Lock()
        self._source: FrameSource | None = None
        self._frames: Iterator[Frame] = iter(())
        self._current: Frame | None = None
        self._following: Frame | None = None
        self._from_start = False
        self._problem: str | None = None

    def at(self, time_s: float) -> Shown:
        """Return the last frame that is not later than a time on the clock of the run.

        Raises:
            InputError: the recording cannot be opened, or has no frame at this time.
            BrokenSource: it cannot be read there.
        """
        with self._lock:
            current = self._current
            ahead = current is not None and current.time_s <= time_s + _ROUNDED_S
            # What cannot be entered in the middle is only read anew for an earlier frame.
            near = current is not None and (self._from_start or time_s - current.time_s < _DECODED_ON_S)
            if not (ahead and near):
                self._enter(time_s)
            while self._following is not None and self._following.time_s <= time_s + _ROUNDED_S:
                self._current, self._following = self._following, self._read()
            return self._shown(time_s)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source, self._frames, self._current, self._following = None, iter(()), None, None

    def _enter(self, time_s: float) -> None:
        self._close()
        self._problem = None
        opened = self._open_recording()
        self._source = opened.source
        source_time_s = (time_s - opened.start_s) / opened.clock_rate
        if source_time_s > 0:
            self._from_start = not opened.source.seek(source_time_s)
        else:
            self._from_start = False
        self._frames = iter(opened.source)
        self._current = self._read()
        self._following = self._read()

    def _read(self) -> Frame | None:
        try:
            return next(self._frames, None)
        except BrokenSource as error:
            self._problem = str(error)
            return None

    def _shown(self, time_s: float) -> Shown:
        current, source = self._current, self._source
        if current is None or source is None or current.image is None:
            raise InputError(self._problem or "the recording has no pictures at this time")
        if current.time_s > time_s + _ROUNDED_S:
            raise InputError(f"the recording begins {current.time_s - time_s:.1f} s later")
        if self._following is None and time_s > current.time_s + _LAST_SHOWN_S:
            raise InputError(self._problem or f"the recording has ended {time_s - current.time_s:.1f} s before")
        following = None if self._following is None else self._following.time_s
        return Shown(current, following, 1 / source.frame_rate)
