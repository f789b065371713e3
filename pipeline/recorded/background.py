"""The empty picture of a camera, from its recording."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Frame
from pipeline.core.errors import RunError
from pipeline.sources.base import FrameSource

# The frames of the first minute, at this distance: people who walk are in the same place in few of them.
_UNTIL_S = 60.0
_EVERY_S = 2.0


def background(source: FrameSource) -> NDArray[np.uint8] | None:
    """Return the median (H, W, 3) uint8 BGR of frames of the first minute, in which people who walk disappear; None if
    the recording has no frame.

    People who stand still may remain. The recording is read up to that minute.
    """
    images = list(_some_images(source))
    return None if not images else np.asarray(np.median(np.stack(images), axis=0), np.uint8)


def _some_images(source: FrameSource) -> Iterator[NDArray[np.uint8]]:
    first_s = next_s = None
    frames: Iterator[Frame] = iter(source)
    while True:
        try:
            frame = next(frames, None)
        except RunError:  # it cannot be read any further
            return
        if frame is None or frame.image is None:
            return
        if first_s is None or next_s is None:
            first_s = next_s = frame.time_s
        if frame.time_s - first_s > _UNTIL_S:
            return
        if frame.time_s >= next_s:
            next_s = frame.time_s + _EVERY_S
            yield frame.image
