"""Image files in a folder or matching a pattern, in natural order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.sources.base import Clock, FrameSource
from pipeline.sources.suffixes import is_image_name, natural_sorted


class ImageSource(FrameSource):
    """Image files as frames: time = index / frame_rate.

    Args:
        files: the images in order, at least one.

    Raises:
        InputError: the first image cannot be read.
    """

    def __init__(
        self, camera_id: str, path: str, files: Sequence[Path], *, frame_rate: float, clock: Clock | None = None
    ) -> None:
        self._files = files
        first = read_image(files[0])
        if first is None:
            raise InputError(f"camera {camera_id}: {files[0]} cannot be read as a picture; remove or replace it")
        height, width = first.shape[:2]
        super().__init__(
            camera_id,
            path,
            frame_count=len(files),
            frame_rate=frame_rate,
            size_wh=(width, height),
            clock=clock,
        )

    def _frames(self) -> Iterator[Frame]:
        for index, file in enumerate(self._files):
            image = read_image(file)
            if image is None:
                raise self._broken(index, f"{file.name} cannot be read as a picture; remove or replace it")
            yield self._frame(index, index / self.frame_rate, image)


def read_image(file: Path) -> NDArray[np.uint8] | None:
    """Read an image (H, W, 3) uint8 BGR; None if the file holds no complete image, OSError if it cannot be read."""
    # Not cv2.imread: on Windows it opens only names in the system's code page.
    data = np.fromfile(file, np.uint8)
    if len(data) == 0:
        return None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if image is None else np.ascontiguousarray(image, np.uint8)


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in `folder`, in natural order."""
    return natural_sorted(file for file in folder.iterdir() if is_image_name(file) and file.is_file())
