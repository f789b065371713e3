"""How bright a decoded picture is, without converting it to BGR."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


def luma_of(frame: VideoFrame) -> NDArray[np.uint8] | None:
    """(H, W) uint8, a view into the frame; None if its format has no such plane of 8 bits."""
    luma = frame.format.components[0]
    if not (frame.format.is_planar and luma.is_luma and luma.bits == 8):
        return None
    plane: Any = frame.planes[0]  # gives a buffer, which its type hints do not say
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
