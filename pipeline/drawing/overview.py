"""Draws who is present on tiles of a mosaic: a plan of the floor, and a list."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import LinkedRow
from pipeline.core.floor_area import FloorArea
from pipeline.drawing.labels import (
    GREY,
    WHITE,
    Image,
    Plate,
    draw_label,
    font_scale_of,
    label_plate,
    put_text,
    text_size,
)
from pipeline.drawing.visualization import ExtraTile, id_colour

_LINES = (60, 60, 60)  # of the grid
_FLOOR = (30, 30, 30)
# Single positions jump, because feet are often hidden.
_SLOT_S = 0.25


@dataclass(frozen=True)
class PersonNow:
    """A person in the frames that a mosaic shows.

    Attributes:
        cameras: that show the person, in the order of the tiles.
        xy_m: position on the floor in metres, of all these cameras; None if none knows it.
        path_m: (P, 2) recent positions in metres, oldest first.
        class_name: '' to leave it out.
    """

    global_id: int
    cameras: tuple[str, ...]
    xy_m: tuple[float, float] | None
    path_m: NDArray[np.float64]
    class_name: str = ""

    @property
    def label(self) -> str:
        """The global id, after the class if there is one."""
        return f"{self.class_name} {self.global_id}".strip()


def floor_tile(people: Sequence[PersonNow], area: FloorArea, tile_wh: tuple[int, int], noun: str) -> ExtraTile:
    """Return the floor with a dot, a path and a label for each person.

    The title counts people without a floor position, and people outside the area.

    Args:
        tile_wh: (width, height) in pixels.
        noun: what the people are, such as people or objects.
    """
    image = np.zeros((tile_wh[1], tile_wh[0], 3), np.uint8)
    to_px = _Scale(area, tile_wh)
    _draw_grid(image, area, to_px)
    scale = font_scale_of(tile_wh[1])
    radius = max(3, round(tile_wh[1] / 70))
    known = [(person, np.array([person.xy_m])) for person in people if person.xy_m is not None]
    inside = [(person, to_px(xy_m)[0]) for person, xy_m in known if to_px.shows(xy_m)[0]]
    for person, _ in inside:
        if len(person.path_m) > 1:
            line = np.rint(to_px(person.path_m)).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(image, [line], False, id_colour(person.global_id), max(1, radius // 3), cv2.LINE_AA)
    for person, (x, y) in inside:
        centre = (round(float(x)), round(float(y)))
        cv2.circle(image, centre, radius, id_colour(person.global_id), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(image, centre, radius, WHITE, 1, cv2.LINE_AA)
    plates: list[Plate] = []
    for person, (x, y) in inside:  # last, so that no dot covers a label
        around = np.array([x - radius, y - radius, x + radius, y + radius])
        plates.append(label_plate(image, around, person.label, scale, plates))
        draw_label(image, plates[-1], person.label, id_colour(person.global_id), scale)
    missing = {"without position": len(people) - len(known), "outside": len(known) - len(inside)}
    texts = [f"floor: {len(inside)} {noun}", *(f"{count} {what}" for what, count in missing.items() if count)]
    return ExtraTile(", ".join(texts), f"squares: {area.square_m:g} m", image)


def list_tile(people: Sequence[PersonNow], tile_wh: tuple[int, int], noun: str) -> ExtraTile:
    """Return a line for each person, in the order given: colour, global id, cameras. If there is no room for all, the
    last line counts the others. Arguments as in `floor_tile`."""
    width, height = tile_wh
    image = np.zeros((height, width, 3), np.uint8)
    scale = font_scale_of(height)
    _, letters, depth = text_size("Ag", scale)
    margin, step = letters, round(1.8 * (letters + depth))
    lines = max(1, (height - margin) // step)
    shown = people if len(people) <= lines else people[: lines - 1]
    label_width = max((text_size(person.label, scale)[0] for person in shown), default=0)
    for number, person in enumerate(shown):
        bottom = margin + number * step + letters
        cv2.rectangle(
            image, (margin, bottom - letters), (margin + letters, bottom), id_colour(person.global_id), cv2.FILLED
        )
        put_text(image, person.label, (3 * margin, bottom), WHITE, scale)
        left = 4 * margin + label_width
        put_text(image, _cameras_text(person.cameras, width - left - margin, scale), (left, bottom), GREY, scale)
    if len(shown) < len(people):
        bottom = margin + len(shown) * step + letters
        put_text(image, f"and {len(people) - len(shown)} more", (3 * margin, bottom), GREY, scale)
    return ExtraTile(f"now: {len(people)} {noun}", "", image)


class _Scale:
    """Turns positions in metres into pixels of a tile, with the area in its middle."""

    def __init__(self, area: FloorArea, tile_wh: tuple[int, int]) -> None:
        self._area = area
        self._px_per_m = min(tile_wh[0] / area.width, tile_wh[1] / area.height)
        size_px = np.array([area.width, area.height]) * self._px_per_m
        self._offset_px = (np.array(tile_wh) - size_px) / 2

    def __call__(self, xy_m: NDArray[np.float64]) -> NDArray[np.float64]:
        origin_m = np.array([self._area.left, self._area.top])
        return np.asarray((xy_m - origin_m) * self._px_per_m + self._offset_px, np.float64)

    def shows(self, xy_m: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return for each position whether it is in the area, with its margin."""
        inside_m = xy_m - np.array([self._area.left, self._area.top])
        size_m = np.array([self._area.width, self._area.height])
        return np.asarray(((inside_m >= 0) & (inside_m <= size_m)).all(axis=1), np.bool_)


def _draw_grid(image: Image, area: FloorArea, to_px: _Scale) -> None:
    corners = np.array([[area.left, area.top], [area.left + area.width, area.top + area.height]])
    (left, top), (right, bottom) = np.rint(to_px(corners)).astype(int).tolist()
    cv2.rectangle(image, (left, top), (right, bottom), _FLOOR, cv2.FILLED)
    for x_m in _multiples(area.left, area.width, area.square_m):
        x = round(float(to_px(np.array([[x_m, area.top]]))[0, 0]))
        cv2.line(image, (x, top), (x, bottom), _LINES, 1)
    for y_m in _multiples(area.top, area.height, area.square_m):
        y = round(float(to_px(np.array([[area.left, y_m]]))[0, 1]))
        cv2.line(image, (left, y), (right, y), _LINES, 1)


def _multiples(start_m: float, length_m: float, square_m: float) -> list[float]:
    first, last = np.ceil(start_m / square_m), np.floor((start_m + length_m) / square_m)
    return [float(number * square_m) for number in np.arange(first, last + 1)]


def _cameras_text(cameras: Sequence[str], width_px: int, scale: float) -> str:
    """Return the names, or as many as there is room for and the number of the others."""
    for count in range(len(cameras), 0, -1):
        more = f" +{len(cameras) - count}" if count < len(cameras) else ""
        text = ", ".join(cameras[:count]) + more
        if text_size(text, scale)[0] <= width_px:
            return text
    return f"{len(cameras)} cameras" if len(cameras) > 1 else cameras[0]


def people_now(
    rows: Sequence[LinkedRow], recent: Iterable[LinkedRow] = (), *, class_names: bool = False
) -> list[PersonNow]:
    """Return the people in order of their ids.

    Args:
        rows: of the frames that are shown, in the order of the tiles.
        recent: in any order; their floor positions, averaged over all cameras, are the paths.
        class_names: whether the people have the names of their classes.
    """
    boxes: dict[int, list[LinkedRow]] = {}
    for linked in rows:
        boxes.setdefault(linked.link.global_id, []).append(linked)
    slots: dict[int, dict[int, list[tuple[float, float]]]] = {global_id: {} for global_id in boxes}
    for linked in recent:
        if linked.link.global_id in slots and linked.row.world_xy_m is not None:
            slot = math.floor(linked.row.time_s / _SLOT_S)
            slots[linked.link.global_id].setdefault(slot, []).append(linked.row.world_xy_m)
    people = []
    for global_id, own in sorted(boxes.items()):
        positions = [linked.row.world_xy_m for linked in own if linked.row.world_xy_m is not None]
        path = [np.mean(xy_m, axis=0) for _, xy_m in sorted(slots[global_id].items())]
        people.append(
            PersonNow(
                global_id,
                cameras=tuple(dict.fromkeys(linked.row.camera_id for linked in own)),
                xy_m=_mean(positions) if positions else None,
                path_m=np.array(path).reshape(-1, 2),
                class_name=own[0].row.class_name if class_names else "",
            )
        )
    return people


def _mean(positions: Sequence[tuple[float, float]]) -> tuple[float, float]:
    x, y = np.mean(positions, axis=0).tolist()
    return x, y
