"""Converts a decoded frame to the image that a player shows: upright, not mirrored, square pixels, BGR.

Phones and some cameras store images as the sensor delivers them, with a matrix that states how to rotate or mirror
them. Recorders store images with pixels that are wider than high, and state the ratio.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from pipeline.sources.grey_levels import GreyLevels

# Ratios beyond this are damaged values.
_WIDEST_PIXEL = 4.0
# A ratio this near to 1 is a rounding error of the recorder.
_NEARLY_SQUARE = 0.01
_log = logging.getLogger(__name__)

Matrix = tuple[int, int, int, int]


class PictureConverter:
    """Converts the frames of one stream; use it in one thread at a time.

    Args:
        pixel_ratio: width of a pixel divided by its height, as the stream states; None or 0 if it does not.
        name: of the stream, for a warning.
        display_size_wh: (width, height) in pixels of the image that `bgr` returns, after rotation; it replaces
            `pixel_ratio`.
        warn: takes the warnings.
    """

    def __init__(
        self,
        pixel_ratio: Fraction | None,
        name: str,
        *,
        display_size_wh: tuple[int, int] | None = None,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        self._display_size_wh = display_size_wh
        self._ratio = 1.0 if display_size_wh else _plausible_ratio(pixel_ratio, name, warn)
        self._levels = GreyLevels(
            name, lambda text: warn(f"{text}; other values in later frames widen this range")
        )
        # One for the whole stream: one per frame costs memory and time. More threads make it slower.
        self._reformatter = VideoReformatter()

    def size_wh(self, frame: VideoFrame) -> tuple[int, int]:
        """Return (width, height) in pixels of the image that `bgr` returns."""
        width, height = self._square_wh(frame)
        return (height, width) if _is_transposed(_matrix(frame)) else (width, height)

    def bgr(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return the image (H, W, 3) uint8, BGR."""
        width, height = self._square_wh(frame)
        format_name = _deep_grey(frame) or "bgr24"
        image = self._reformatter.reformat(
            frame, width=width, height=height, format=format_name, threads=1
        ).to_ndarray()
        if format_name != "bgr24":
            self._levels.add(image)
            image = np.repeat(self._levels.to_8_bit(image)[:, :, None], 3, axis=2)
        return np.ascontiguousarray(turned(np.asarray(image, np.uint8), _matrix(frame)))

    def _square_wh(self, frame: VideoFrame) -> tuple[int, int]:
        """Return the size after stretching, before rotation."""
        if self._display_size_wh is not None:
            width, height = self._display_size_wh
            return (height, width) if _is_transposed(_matrix(frame)) else (width, height)
        return max(round(frame.width * self._ratio), 1), frame.height


def _plausible_ratio(pixel_ratio: Fraction | None, name: str, warn: Callable[[str], None]) -> float:
    """Return the width of a pixel divided by its height; 1 if that is unknown, implausible or nearly 1."""
    ratio = float(pixel_ratio or 1)
    if not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
        warn(
            f"{name} says that a pixel is {ratio:.3g} times as wide as high; as this is implausible, pixels count as "
            "square"
        )
        return 1.0
    if abs(ratio - 1) < _NEARLY_SQUARE:
        return 1.0
    warn(
        f"{name} has pixels that are {ratio:.3g} times as wide as high: pictures are stretched to square pixels; "
        "boxes, regions and homographies refer to the stretched pictures"
    )
    return ratio


def turned(image: NDArray[np.uint8], matrix: Matrix | None) -> NDArray[np.uint8]:
    """Return the image (H, W, 3) rotated by quarter turns and mirrored according to its display matrix; None leaves it
    unchanged.

    Args:
        matrix: (a, b, c, d); a pixel at (x, y) is shown at (a x + c y, b x + d y), up to scale and shift. Angles are
            rounded to quarter turns.
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
    """Return whether width and height are exchanged."""
    if matrix is None:
        return False
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def _deep_grey(frame: VideoFrame) -> str | None:
    """Return the format in which a grey frame with more than 8 bits keeps its values, as of thermal cameras; else
    None."""
    name = frame.format.name
    if name.startswith("grayf32"):
        return "grayf32le"
    is_deep = name.startswith("gray") and frame.format.components[0].bits > 8
    return "gray16le" if is_deep else None


def _matrix(frame: VideoFrame) -> Matrix | None:
    """Return FFmpeg's display matrix without shift and perspective; None if the frame has none, or a damaged one.

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
