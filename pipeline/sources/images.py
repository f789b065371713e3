"""Image files in a folder or matching a pattern, in natural order."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.sources.base import Clock, FrameSource
from pipeline.sources.grey_levels import GreyLevels
from pipeline.sources.picture_size import MAX_PICTURE_PX, header_size_wh, too_large
from pipeline.sources.suffixes import IMAGE_SUFFIXES, is_hidden, natural_sorted

_log = logging.getLogger(__name__)

# Images in which the range of 16-bit values is measured.
_LEVEL_SAMPLES = 8


class ImageSource(FrameSource):
    """Image files as frames: time = (index - first index) / frame_rate.

    Images with more than 8 bits per value are scaled to 8 bits, all with one scale (see `GreyLevels`).

    Args:
        files: the images in order, at least one.
        indices: frame index of each image, rising; None is 0, 1, 2, ...
        frame_rate: indices per second.
        display_size_wh: (width, height) in pixels to which images are stretched; None leaves them as they are.
        max_picture_px: images with more pixels are not decoded.

    Raises:
        InputError: the first image cannot be read or is too large.
    """

    def __init__(
        self,
        camera_id: str,
        path: str,
        files: Sequence[Path],
        *,
        frame_rate: float,
        indices: Sequence[int] | None = None,
        clock: Clock | None = None,
        display_size_wh: tuple[int, int] | None = None,
        max_picture_px: int = MAX_PICTURE_PX,
    ) -> None:
        self._files = files
        self._indices = range(len(files)) if indices is None else indices
        self._begin = 0
        self._index_rate = frame_rate
        self._display_size_wh = display_size_wh
        self._max_picture_px = max_picture_px
        self._levels = GreyLevels(f"camera {camera_id}: {path}")
        self._levels_known = False
        try:
            first = self._image(files[0])
        except InputError as error:
            raise InputError(f"camera {camera_id}: {error}") from error
        height, width = first.shape[:2]
        steps = [after - before for before, after in pairwise(self._indices)]
        step = median_low(steps) if steps else 1
        super().__init__(
            camera_id,
            path,
            frame_count=len(files),
            frame_rate=frame_rate / step,
            size_wh=(width, height),
            clock=clock,
            index_step=step,
        )

    def seek(self, source_time_s: float) -> bool:
        # A time that was rounded to milliseconds may be slightly before that of its frame.
        wanted = self._indices[0] + (source_time_s + 0.001) * self._index_rate
        self._begin = max(bisect_right(self._indices, wanted) - 1, 0)
        return True

    def _frames(self) -> Iterator[Frame]:
        first = self._indices[0]
        for index, file in zip(self._indices[self._begin :], self._files[self._begin :], strict=True):
            try:
                image = self._image(file)
            except InputError as error:
                raise self._broken(index, str(error)) from error
            yield self._frame(index, (index - first) / self._index_rate, image)

    def _image(self, file: Path) -> NDArray[np.uint8]:
        try:
            image = _decoded(file, self._max_picture_px)
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror})") from error
        if image is None:
            raise InputError(f"{file} cannot be read as a picture; remove or replace it")
        if image.dtype != np.uint8:
            self._find_levels(image)
            image = self._levels.to_8_bit(image)
        if self._display_size_wh is not None and image.shape[1::-1] != self._display_size_wh:
            image = cv2.resize(image, self._display_size_wh, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(image, np.uint8)

    def _find_levels(self, image: NDArray[Any]) -> None:
        """Measure the range of values once, in this image and in some others of the recording."""
        if self._levels_known:
            return
        self._levels_known = True
        self._levels.add(image)
        for file in self._files[:: max(len(self._files) // _LEVEL_SAMPLES, 1)]:
            with suppress(InputError, OSError):  # reported when its turn comes
                other = _decoded(file, self._max_picture_px)
                if other is not None and other.dtype == image.dtype:
                    self._levels.add(other)


def read_image(file: Path, max_picture_px: int = MAX_PICTURE_PX) -> NDArray[np.uint8] | None:
    """Read an image (H, W, 3) uint8 BGR; None if the file holds no complete image.

    An image with more than 8 bits per value is scaled by its own range of values.

    Raises:
        InputError: it has more than `max_picture_px` pixels.
        OSError: the file cannot be read.
    """
    return _to_8_bit(_decoded(file, max_picture_px), str(file))


def required_image(file: Path, max_picture_px: int = MAX_PICTURE_PX) -> NDArray[np.uint8]:
    """Read an image as `read_image` does, when it must be one.

    Raises:
        InputError: it is no complete image, has too many pixels, or the file cannot be read.
    """
    try:
        image = read_image(file, max_picture_px)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    if image is None:
        raise InputError(f"{file} is not a picture, or is cut off")
    return image


def decode_image(data: bytes, name: str, max_picture_px: int) -> NDArray[np.uint8] | None:
    """Decode an image as `read_image` does.

    Args:
        data: the content of an image file.
        name: says which image it is, in messages.

    Raises:
        InputError: it has more than `max_picture_px` pixels, or cannot be decoded.
    """
    return _to_8_bit(_decoded_data(np.frombuffer(data, np.uint8), name, max_picture_px), name)


def _to_8_bit(image: NDArray[Any] | None, name: str) -> NDArray[np.uint8] | None:
    if image is None or image.dtype == np.uint8:
        return image
    levels = GreyLevels(name)
    levels.add(image)
    return levels.to_8_bit(image)


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in `folder`, in natural order; hidden ones are left out, with a warning."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
    shown = [file for file in files if not is_hidden(file)]
    if len(shown) < len(files):
        _log.warning("%s: %d hidden files (.*) are left out", folder, len(files) - len(shown))
    return natural_sorted(shown)


def _decoded(file: Path, max_picture_px: int) -> NDArray[Any] | None:
    """Return the image (H, W, 3) BGR with the type of its values; see `read_image`."""
    # Not cv2.imread: on Windows it opens only names in the system's code page.
    return _decoded_data(np.fromfile(file, np.uint8), str(file), max_picture_px)


def _decoded_data(data: NDArray[np.uint8], name: str, max_picture_px: int) -> NDArray[Any] | None:
    """Return the image (H, W, 3) BGR with the type of its values; see `decode_image`."""
    if len(data) == 0:
        return None
    size_wh = header_size_wh(data.tobytes())
    problem = None if size_wh is None else too_large(size_wh, max_picture_px)
    if problem is not None:
        raise InputError(f"{name}: {problem}")
    try:
        image = _float_tiff(data)
        if image is None:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise InputError(f"{name} cannot be decoded ({error.err}); remove or replace it") from error
    if image is None:
        return None
    height, width = image.shape[:2]
    problem = too_large((width, height), max_picture_px)
    if problem is not None:
        raise InputError(f"{name}: {problem}")
    return np.ascontiguousarray(image)


def _float_tiff(data: NDArray[np.uint8]) -> NDArray[Any] | None:
    """Return a TIFF of floating-point values as (H, W, 3), which OpenCV reads only as it is; None for other data."""
    if data[:2].tobytes() not in (b"II", b"MM"):
        return None
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is None or not np.issubdtype(image.dtype, np.floating):
        return None
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image[:, :, :3]
