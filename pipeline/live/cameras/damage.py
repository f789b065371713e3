"""Which pictures of a stream do not show what the camera saw."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from pipeline.live.cameras.luma import luma_of

# A decoder that has lost what a picture is predicted from begins with mid-grey: 128 in 8 bits, a little more or less
# after the changes that came on top. No camera's picture is half of that.
_GREY = 128
_GREY_RANGE = 4
_GREY_SHARE = 0.5
# Every so many rows and columns of a picture are looked at.
_STEP_PX = 8


class DamageWatch:
    """Watches the pictures of one stream, in their order.

    FFmpeg marks a picture that has parts missing. Pictures that are predicted from it are not marked, until the next
    key picture: most are good enough to see people in, and stay; those that are mere grey do not.
    """

    def __init__(self) -> None:
        self._damaged = False

    def is_damaged(self, frame: VideoFrame) -> bool:
        """Whether this picture, the next one, is to be left out."""
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
