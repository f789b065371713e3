"""Text on pictures: its size, and labels that do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""
Bgr = tuple[int, int, int]
Plate = tuple[int, int, int, int]
"""left, top, right, bottom of a label in pixels."""

BLACK: Bgr = (0, 0, 0)
WHITE: Bgr = (255, 255, 255)
GREY: Bgr = (160, 160, 160)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def font_scale_of(height_px: int) -> float:
    """Return 0.5 (capitals about 11 px high) for images up to 350 px high, and more for higher ones."""
    return max(0.5, height_px / 700)


def text_size(text: str, font_scale: float) -> tuple[int, int, int]:
    """Return width and height above the base line, and depth below it, in pixels."""
    (width, height), depth = cv2.getTextSize(text, _FONT, font_scale, 1)
    return width, height, depth


def put_text(image: Image, text: str, bottom_left_xy: tuple[int, int], colour: Bgr, font_scale: float) -> None:
    # cv2 draws into a copy of an array that is not contiguous in memory, such as a part of a larger image.
    part = np.ascontiguousarray(image)
    cv2.putText(part, text, bottom_left_xy, _FONT, font_scale, colour, 1, cv2.LINE_AA)
    if part is not image:
        image[:] = part


def label_plate(image: Image, xyxy: NDArray[Any], text: str, font_scale: float, taken: Sequence[Plate]) -> Plate:
    """Return where the label of a box goes: above it, without overlapping other labels if there is room.

    Tried in this order: above its left end, above its right end, below its left end, below its right end; each
    moved into the image.
    """
    width, height, depth = text_size(text, font_scale)
    margin = _label_margin(height)
    plate_width, plate_height = width + 2 * margin, height + depth + margin
    image_width, image_height = _size_wh(image)
    left, top, right, bottom = (round(float(value)) for value in xyxy)
    places = []
    for y in (top - plate_height, bottom):
        for x in (left, right - plate_width):
            place_left = min(max(x, 0), max(image_width - plate_width, 0))
            place_top = min(max(y, 0), max(image_height - plate_height, 0))
            places.append((place_left, place_top, place_left + plate_width, place_top + plate_height))
    return next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])


def draw_label(image: Image, plate: Plate, text: str, colour: Bgr, font_scale: float) -> None:
    left, top, right, bottom = plate
    _, height, _ = text_size(text, font_scale)
    margin = _label_margin(height)
    cv2.rectangle(image, (left, top), (right, bottom), colour, cv2.FILLED)
    blue, green, red = colour
    bright = 0.114 * blue + 0.587 * green + 0.299 * red > 140  # luma of ITU-R BT.601
    put_text(image, text, (left + margin, top + height + margin), BLACK if bright else WHITE, font_scale)


def _label_margin(text_height: int) -> int:
    return max(2, text_height // 4)


def _overlap(a: Plate, b: Plate) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _size_wh(image: Image) -> tuple[int, int]:
    return image.shape[1], image.shape[0]
