"""Draws people with their global ids, and several cameras as tiles of one image."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import BoolArray, IntArray
from pipeline.drawing.labels import (
    GREY,
    WHITE,
    Bgr,
    Image,
    Plate,
    draw_label,
    font_scale_of,
    label_plate,
    put_text,
    text_size,
)

_BAR: Bgr = (45, 45, 45)
_GAP_PX = 4  # between the columns of a mosaic
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# (saturation, value), used in turn. Ids that differ by 3, 5, 13, 21, 34 or 55 have nearly the same hue. There are
# four pairs, because none of these numbers is a multiple of four.
_STRENGTHS = ((0.45, 1.00), (0.90, 1.00), (0.50, 0.75), (0.90, 0.60))


def id_colour(global_id: int) -> Bgr:
    """Return the colour of an identity: always the same, and different from those of the neighbouring ids.

    Hues step by the golden ratio, which spreads any run of ids evenly over the circle.
    """
    saturation, value = _STRENGTHS[global_id % len(_STRENGTHS)]
    red, green, blue = colorsys.hsv_to_rgb(global_id * _GOLDEN_RATIO % 1.0, saturation, value)
    return (round(255 * blue), round(255 * green), round(255 * red))


def draw_tracks(
    image_bgr: Image,
    xyxy: Boxes,
    global_ids: IntArray,
    *,
    interpolated: BoolArray | None = None,
    trails: Mapping[int, Boxes] | None = None,
    class_names: Sequence[str] = (),
) -> Image:
    """Return a copy of the image with a box and a label for each person; lines and text scale with the image.

    Args:
        image_bgr: (H, W, 3) uint8.
        xyxy: (N, 4), pixels; may reach outside the image.
        global_ids: (N,) int64, the labels, which also determine the colours.
        interpolated: (N,) bool, True for boxes that no detector saw; they are dashed.
        trails: global id -> (P, 2) foot points in pixels, oldest first, drawn as a line in the id's colour.
        class_names: N names that stand before the ids; none if empty.

    Raises:
        ValueError: there are more or fewer ids, or names, than boxes.
    """
    if len(xyxy) != len(global_ids):
        raise ValueError(f"{len(xyxy)} boxes, but {len(global_ids)} global ids")
    if class_names and len(xyxy) != len(class_names):
        raise ValueError(f"{len(xyxy)} boxes, but {len(class_names)} class names")
    dashed = np.zeros(len(xyxy), np.bool_) if interpolated is None else interpolated
    image = image_bgr.copy()
    thickness, font_scale = _line_thickness(image.shape[0]), font_scale_of(image.shape[0])
    trail_thickness = max(1, thickness - 1)
    for global_id, points in (trails or {}).items():
        line = np.rint(points).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(image, [line], False, id_colour(int(global_id)), trail_thickness, cv2.LINE_AA)
    for box, global_id, dash in zip(xyxy, global_ids, dashed, strict=True):
        _draw_box(image, box, id_colour(int(global_id)), thickness, dashed=bool(dash))
    plates: list[Plate] = []
    names = class_names or [""] * len(xyxy)
    for box, global_id, name in zip(xyxy, global_ids, names, strict=True):  # last, so that no box crosses a label
        text = f"{name} {global_id}".strip()
        plates.append(label_plate(image, box, text, font_scale, plates))
        draw_label(image, plates[-1], text, id_colour(int(global_id)), font_scale)
    return image


@dataclass(frozen=True, eq=False)
class CameraView:
    """The content of one tile of a mosaic; boxes, trails and names as in `draw_tracks`, in pixels of `image_bgr`."""

    image_bgr: Image
    xyxy: Boxes
    global_ids: IntArray
    interpolated: BoolArray
    trails: Mapping[int, Boxes] = field(default_factory=dict)
    class_names: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class ExtraTile:
    """The content of a tile without a camera: an image of the size of a tile, and texts for both ends of its bar."""

    left_text: str
    right_text: str
    image_bgr: Image


class MosaicRenderer:
    """Puts the images of several cameras side by side, as a grid of equal tiles.

    An image is scaled to fit into its tile, with black margins if the proportions differ; a bar above the tile
    shows the camera's name and the time. The tiles are in the order of `camera_ids`, row by row.
    """

    def __init__(
        self, camera_ids: Sequence[str], *, tile_wh: tuple[int, int] = (640, 360), columns: int | None = None
    ) -> None:
        """Plan the grid.

        Args:
            camera_ids: the cameras, at least one.
            tile_wh: (width, height) of a tile without its bar, in pixels.
            columns: tiles in a row; by default the grid is about as many tiles wide as high.

        Raises:
            ValueError: there is no camera, `columns` is below 1, or a tile is smaller than 16 by 16.
        """
        if not camera_ids:
            raise ValueError("a mosaic needs at least one camera")
        if columns is not None and columns < 1:
            raise ValueError(f"columns must be at least 1, but is {columns}")
        if min(tile_wh) < 16:
            raise ValueError(f"tile_wh must be at least 16 by 16, but is {tile_wh}")
        self._camera_ids = tuple(camera_ids)
        self._tile_wh = tile_wh
        self._bar_height = _bar_height(tile_wh[1])
        self._columns = min(len(camera_ids), columns or math.ceil(math.sqrt(len(camera_ids))))
        self._rows = math.ceil(len(camera_ids) / self._columns)

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) of the mosaic in pixels."""
        width, height = self._tile_wh
        return (
            self._columns * (width + _GAP_PX) - _GAP_PX,
            self._rows * (self._bar_height + height),
        )

    @property
    def tile_wh(self) -> tuple[int, int]:
        """(width, height) of a tile without its bar, in pixels."""
        return self._tile_wh

    @property
    def free_tiles(self) -> int:
        """Tiles of the grid that no camera fills."""
        return self._rows * self._columns - len(self._camera_ids)

    def render(self, views: Mapping[str, CameraView], time_s: float, extra: Sequence[ExtraTile] = ()) -> Image:
        """Return the mosaic (H, W, 3) uint8 BGR of one moment; a camera that is not in `views` shows `no frame`.

        Args:
            extra: for the free tiles, which are black without; at most `free_tiles`.
        """
        mosaic = np.zeros((*self.size_wh[::-1], 3), np.uint8)
        for index, camera_id in enumerate(self._camera_ids):
            bar, tile = self._place(mosaic, index)
            _draw_bar(bar, camera_id, format_time(time_s), font_scale_of(self._tile_wh[1]))
            self._draw_tile(tile, views.get(camera_id))
        assert len(extra) <= self.free_tiles
        for index, content in enumerate(extra, len(self._camera_ids)):
            bar, tile = self._place(mosaic, index)
            _draw_bar(bar, content.left_text, content.right_text, font_scale_of(self._tile_wh[1]))
            tile[:] = content.image_bgr
        return mosaic

    def _place(self, mosaic: Image, index: int) -> tuple[Image, Image]:
        """Return the parts of the mosaic for the bar and for the image of a tile."""
        width, height = self._tile_wh
        row, column = divmod(index, self._columns)
        top, left = row * (self._bar_height + height), column * (width + _GAP_PX)
        middle = top + self._bar_height
        right = left + width
        return mosaic[top:middle, left:right], mosaic[middle : middle + height, left:right]

    def _draw_tile(self, tile: Image, view: CameraView | None) -> None:
        width, height = self._tile_wh
        if view is None:
            _draw_centred(tile, "no frame", font_scale_of(self._tile_wh[1]))
            return
        image_height, image_width = view.image_bgr.shape[:2]
        scale = min(width / image_width, height / image_height)
        fitted_wh = (max(1, round(image_width * scale)), max(1, round(image_height * scale)))
        # INTER_AREA does not flicker when an image is shrunk.
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        fitted = np.asarray(cv2.resize(view.image_bgr, fitted_wh, interpolation=interpolation), np.uint8)
        scale_xy = np.array([fitted_wh[0] / image_width, fitted_wh[1] / image_height])
        drawn = draw_tracks(
            fitted,
            view.xyxy * np.tile(scale_xy, 2),
            view.global_ids,
            interpolated=view.interpolated,
            trails={global_id: points * scale_xy for global_id, points in view.trails.items()},
            class_names=view.class_names,
        )
        left, top = (width - fitted_wh[0]) // 2, (height - fitted_wh[1]) // 2
        tile[top : top + fitted_wh[1], left : left + fitted_wh[0]] = drawn


def format_time(time_s: float) -> str:
    """Return hours, minutes, seconds and tenths, as 0:01:23.4."""
    tenths = round(abs(time_s) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if time_s < 0 and (hours or minutes or tenths) else ""
    return f"{sign}{hours}:{minutes:02}:{tenths // 10:02}.{tenths % 10}"


def _line_thickness(height_px: int) -> int:
    return max(1, round(height_px / 200))


def _draw_box(image: Image, xyxy: NDArray[Any], colour: Bgr, thickness: int, *, dashed: bool) -> None:
    left, top, right, bottom = (round(float(value)) for value in xyxy)
    if not dashed:
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness)
        return
    dash = 4 * thickness
    # Only the part inside the image: dashing a box that reaches far outside would take too long.
    first_x, last_x = max(left, 0), min(right, image.shape[1])
    first_y, last_y = max(top, 0), min(bottom, image.shape[0])
    for x in range(first_x, last_x, 2 * dash):
        for y in (top, bottom):
            cv2.line(image, (x, y), (min(x + dash, last_x), y), colour, thickness)
    for y in range(first_y, last_y, 2 * dash):
        for x in (left, right):
            cv2.line(image, (x, y), (x, min(y + dash, last_y)), colour, thickness)


def _bar_height(tile_height_px: int) -> int:
    _, height, depth = text_size("Ag", font_scale_of(tile_height_px))
    bar = 2 * height + depth
    return bar + bar % 2  # even, for video


def _draw_bar(bar: Image, left_text: str, right_text: str, font_scale: float) -> None:
    """Draw a text at either end of the bar; the left one is cut off if there is no room."""
    bar[:] = _BAR
    height, width = bar.shape[:2]
    right_width = text_size(right_text, font_scale)[0]
    _, text_height, depth = text_size("0", font_scale)
    margin = max(4, text_height // 2)
    y = (height + text_height - depth // 2) // 2
    put_text(bar, left_text, (margin, y), WHITE, font_scale)
    right_end = bar[:, max(width - right_width - 2 * margin, 0) :]
    right_end[:] = _BAR
    put_text(right_end, right_text, (margin, y), WHITE, font_scale)


def _draw_centred(image: Image, text: str, font_scale: float) -> None:
    width, height, _ = text_size(text, font_scale)
    put_text(image, text, ((image.shape[1] - width) // 2, (image.shape[0] + height) // 2), GREY, font_scale)
