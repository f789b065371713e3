"""Detects pictures of a stream that do not show what the camera saw."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from pipeline.live.cameras.luma import luma_of

# A decoder that has lost the reference picture starts from mid-grey: 128 in 8 bits, slightly different after the
# changes that follow. In a real picture, never more than half of the pixels have this value.
_GREY = 128
_GREY_RANGE = 4
_GREY_SHARE = 0.5
# Step between the rows and columns that are checked.
_STEP_PX = 8


class DamageWatch:
    """Checks the pictures of one stream, in their order.

    FFmpeg marks a picture with missing parts. It does not mark the pictures predicted from it, up to the next key
    picture. Most of them are good enough to see people in and are kept; those that are mostly grey are dropped.
    """

    def __init__(self) -> None:
        self._damaged = False

    def is_damaged(self, frame: VideoFrame) -> bool:
        """Return whether `frame`, the next picture of the stream, must be dropped."""
        if frame.is_corrupt:
            self._damaged = True
            return True
        if frame.key_frame:
            self._damaged = False
        return self._damaged and _is_grey(frame)


def _is_grey(frame: VideoFrame) -> bool:
    luma = luma_of(frame)
    if luma is None:
        return False
    some = luma[::_STEP_PX, ::_STEP_PX].astype(np.int16)
    return bool((np.abs(some - _GREY) <= _GREY_RANGE).mean() > _GREY_SHARE)
