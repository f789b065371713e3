"""The pictures of the page: a still of the camera, and a plan of the floor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.sources.images import required_image
from pipeline.sources.open import open_source
from pipeline.sources.suffixes import is_video_name


@dataclass(frozen=True, eq=False)
class PagePicture:
    """A picture as a browser shows it.

    Attributes:
        name: of its file.
        size_wh: (width, height) in pixels.
        png: the encoded picture.
    """

    name: str
    size_wh: tuple[int, int]
    png: bytes


def read_picture(path: Path) -> PagePicture:
    """Read an image file, or the first frame of a video as the tracker sees it.

    Raises:
        InputError: the file cannot be read, or is neither.
    """
    image = _first_frame(path) if is_video_name(path) else required_image(path)
    encoded, png = cv2.imencode(".png", image)
    if not encoded:
        raise InputError(f"{path} cannot be shown in a browser: save it as PNG")
    return PagePicture(path.name, (image.shape[1], image.shape[0]), png.tobytes())


def _first_frame(path: Path) -> NDArray[np.uint8]:
    with open_source(path.stem, str(path)) as source:
        for frame in source:
            if frame.image is not None:
                return frame.image
    raise InputError(f"{path} has no picture")
