"""Every n-th frame of a recording, to see how trackers degrade at low frame rates."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.core.datatypes import Frame
from pipeline.files.track_boxes import TrackBoxes
from pipeline.sources.base import FrameSource


class ThinnedSource(FrameSource):
    """The frames of another source whose index is a multiple of `every`; they keep index and time."""

    def __init__(self, source: FrameSource, every: int) -> None:
        super().__init__(
            source.camera_id,
            source.path,
            frame_count=None if source.frame_count is None else -(-source.frame_count // every),
            frame_rate=source.frame_rate / every,
            size_wh=source.size_wh,
            start_utc=source.start_utc,
        )
        self._source, self._every = source, every

    def _frames(self) -> Iterator[Frame]:
        for frame in self._source:
            if frame.frame_index % self._every == 0:
                yield frame

    def close(self) -> None:
        super().close()
        self._source.close()


def thinned_boxes(boxes: TrackBoxes, every: int) -> TrackBoxes:
    """Return the boxes of the same frames."""
    return boxes[boxes.frame_index % every == 0]
