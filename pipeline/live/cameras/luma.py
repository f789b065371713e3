"""Brightness of a decoded picture, without converting it to BGR."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


def luma_of(frame: VideoFrame) -> NDArray[np.uint8] | None:
    """Return the luma plane, (H, W) uint8, a view into the frame; None if the format has no 8-bit luma plane."""
    luma = frame.format.components[0]
    if not (frame.format.is_planar and luma.is_luma and luma.bits == 8):
        return None
    plane: Any = frame.planes[0]  # a buffer, which its type hints do not state
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
