"""The one way from a decoded frame to the picture that a player shows: upright, not mirrored, square pixels, BGR.

Telephones and some cameras store pictures as the sensor gives them, and note in a matrix how to turn or mirror them.
Recorders store pictures with pixels that are wider than high, and note the ratio.
"""

from __future__ import annotations

import logging
import struct
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

# Ratios beyond are damage, not pixels.
_WIDEST_PIXEL = 4.0
# A ratio this near to 1 is rounding of a recorder.
_NEARLY_SQUARE = 0.01
_log = logging.getLogger(__name__)

Matrix = tuple[int, int, int, int]


class PictureConverter:
    """Converts the frames of one stream; for one thread at a time.

    Args:
        pixel_ratio: width of a pixel by its height, as the stream says; None or 0 if it says nothing.
        name: of the stream, for a warning.
    """

    def __init__(self, pixel_ratio: Fraction | None, name: str) -> None:
        ratio = float(pixel_ratio or 1)
        if not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
            _log.warning("%s says that a pixel is %.3g times as wide as high; it is taken as square", name, ratio)
            ratio = 1.0
        self._ratio = 1.0 if abs(ratio - 1) < _NEARLY_SQUARE else ratio
        # One for the stream: one for each frame costs memory and time. More threads make it slower.
        self._reformatter = VideoReformatter()

    def size_wh(self, frame: VideoFrame) -> tuple[int, int]:
        """(width, height) in pixels of the picture that `bgr` gives."""
        width, height = self._square_wh(frame)
        return (height, width) if _is_transposed(_matrix(frame)) else (width, height)

    def bgr(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, BGR."""
        width, height = self._square_wh(frame)
        image = self._reformatter.reformat(
            frame, width=width, height=height, format="bgr24", threads=1
        ).to_ndarray()
        return np.ascontiguousarray(turned(np.asarray(image, np.uint8), _matrix(frame)))

    def _square_wh(self, frame: VideoFrame) -> tuple[int, int]:
        return max(round(frame.width * self._ratio), 1), frame.height


def turned(image: NDArray[np.uint8], matrix: Matrix | None) -> NDArray[np.uint8]:
    """The image (H, W, 3) as its display matrix wants it: turned by quarters and mirrored; None leaves it.

    Args:
        matrix: (a, b, c, d); a pixel at (x, y) is shown at (a x + c y, b x + d y), up to scale and shift. Other angles
            than quarters are taken as the nearest quarter.
    """
    if matrix is None:
        return image
    a, b, c, d = matrix
    across, down = (c, b) if _is_transposed(matrix) else (a, d)
    if _is_transposed(matrix):
        image = image.transpose(1, 0, 2)
    if across < 0:
        image = image[:, ::-1]
    if down < 0:
        image = image[::-1]
    return image


def _is_transposed(matrix: Matrix | None) -> bool:
    """Whether width and height change places."""
    if matrix is None:
        return False
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def _matrix(frame: VideoFrame) -> Matrix | None:
    """FFmpeg's display matrix without shift and perspective; None if the frame has none, or a damaged one.

    The side data are nine int32: a, b, u, c, d, v, x, y, w.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    values = bytes(memoryview(data))  # type: ignore[arg-type]  # the stubs do not say that it is a buffer
    if len(values) < 36:
        return None
    a, b, _, c, d, _, _, _, _ = struct.unpack("=9i", values[:36])
    return None if a * d - b * c == 0 else (a, b, c, d)
