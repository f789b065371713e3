"""A part of a recording: from one time to another, and every n-th frame of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.core.datatypes import Frame
from pipeline.sources.base import FrameSource


class PartOfSource(FrameSource):
    """The frames of another source that lie in a time window, and of these every n-th.

    Frames keep their index and their time. Frames before the window are decoded and discarded.

    Args:
        start_s, end_s: seconds on the clock that all cameras share; the end is excluded. None is the start or end of
            the recording.
        stride, first: keep the frames whose index differs from `first` by a multiple of `stride`, as far as they lie in
            the window. None keeps multiples of `stride`, as `thinned_boxes` does, or for a source that has not every
            index, the corresponding ones.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        stride: int = 1,
        first: int | None = None,
    ) -> None:
        index_step = math.lcm(source.index_step, stride)
        every = index_step // source.index_step
        super().__init__(
            source.camera_id,
            source.path,
            # The number of frames in a time window is not known beforehand.
            frame_count=None
            if source.frame_count is None or start_s is not None or end_s is not None
            else -(-source.frame_count // every),
            frame_rate=source.frame_rate / every,
            size_wh=source.size_wh,
            index_step=index_step,
        )
        self._source = source
        self._start_s = -math.inf if start_s is None else start_s
        self._end_s = math.inf if end_s is None else end_s
        self._stride, self._first = stride, first

    def _frames(self) -> Iterator[Frame]:
        first = self._first
        for frame in self._source:
            if frame.time_s >= self._end_s:
                return
            if first is None:
                first = frame.frame_index % math.gcd(self._source.index_step, self._stride)
            if frame.time_s >= self._start_s and (frame.frame_index - first) % self._stride == 0:
                yield frame

    def close(self) -> None:
        super().close()
        self._source.close()
