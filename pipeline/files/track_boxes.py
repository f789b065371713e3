"""Boxes of one camera with an id each, and the checks that every file of such boxes must pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray, check_array
from pipeline.core.errors import InputError

LARGEST_NUMBER = 2**53
"""Above it, whole numbers are not exact in float64, and sums of coordinates can overflow."""


@dataclass(frozen=True, eq=False)
class TrackBoxes:
    """Boxes of one camera, as parallel arrays in the order of the file.

    Attributes:
        frame_index: (N,) int64, counted from 0.
        ids: (N,) int64, id of the person in the box; the same id in two cameras is the same person.
        xyxy: (N, 4) float64, left, top, right, bottom in pixels of the camera's image.
        confidence: (N,) float64; 1 if the file has none.

    Raises:
        ValueError: an array has another shape or dtype.
    """

    frame_index: IntArray
    ids: IntArray
    xyxy: NDArray[np.float64]
    confidence: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.frame_index)
        check_array("TrackBoxes", "frame_index", self.frame_index, (n,), np.int64)
        check_array("TrackBoxes", "ids", self.ids, (n,), np.int64)
        check_array("TrackBoxes", "xyxy", self.xyxy, (n, 4), np.float64)
        check_array("TrackBoxes", "confidence", self.confidence, (n,), np.float64)

    def __len__(self) -> int:
        return len(self.frame_index)

    def __getitem__(self, rows: NDArray[np.bool_] | IntArray) -> TrackBoxes:
        """Return the boxes at `rows`, a boolean mask (N,) or integer indices."""
        return TrackBoxes(self.frame_index[rows], self.ids[rows], self.xyxy[rows], self.confidence[rows])

    @classmethod
    def empty(cls) -> TrackBoxes:
        """Return `TrackBoxes` without any box."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))


def thinned_boxes(boxes: TrackBoxes, every: int) -> TrackBoxes:
    """Return the boxes of the frames whose index is a multiple of `every`."""
    return boxes[boxes.frame_index % every == 0]


def crop_ground_truth(boxes: TrackBoxes, crop_xyxy_px: Sequence[float]) -> TrackBoxes:
    """Return the ground truth of a virtual camera that sees only a part of the image.

    A box is kept if at least half of its width and half of its height lie in that part. It is clipped at the
    borders and moved, so that (0, 0) is the upper left corner of the virtual camera's image.

    Args:
        crop_xyxy_px: left, top, right, bottom of the part in pixels.

    Raises:
        ValueError: the part has no area.
    """
    x_min, y_min, x_max, y_max = crop_xyxy_px
    if not (x_min < x_max and y_min < y_max):
        raise ValueError(f"the part must be (left, top, right, bottom), but is {tuple(crop_xyxy_px)}")
    cut = np.clip(boxes.xyxy, (x_min, y_min, x_min, y_min), (x_max, y_max, x_max, y_max))
    size = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    keep = np.asarray((cut[:, 2:] - cut[:, :2] >= size / 2).all(axis=1))
    moved = cut - np.array((x_min, y_min, x_min, y_min))
    return TrackBoxes(boxes.frame_index, boxes.ids, moved, boxes.confidence)[keep]


def check_boxes(boxes: TrackBoxes, fail: Callable[[int, str], NoReturn]) -> None:
    """Call `fail(row, problem)` for the first invalid row of `boxes`."""
    finite = np.isfinite(boxes.xyxy).all(axis=1) & np.isfinite(boxes.confidence)
    size_wh = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    good = finite & (boxes.frame_index >= 0) & (boxes.ids >= 0) & (size_wh > 0).all(axis=1)
    if good.all():
        return
    row = int(np.flatnonzero(~good)[0])
    if not finite[row]:
        fail(row, "a coordinate or the confidence is not a finite number. Correct or remove the row.")
    if boxes.frame_index[row] < 0:
        fail(row, f"the frame is {-boxes.frame_index[row]} before the first. Renumber the frames.")
    if boxes.ids[row] < 0:
        fail(
            row,
            f"id {boxes.ids[row]}, but ids are not negative; -1 marks detections without a track. "
            "Give a file of tracks.",
        )
    width, height = size_wh[row]
    fail(row, f"the box is {width:g} px wide and {height:g} px high. Correct or remove the row.")


def check_unique(keys: Sequence[IntArray], fail: Callable[[int, int], NoReturn]) -> None:
    """Call `fail(first, second)` with the earliest two rows that agree in all `keys` (N,), if there are any."""
    order = np.lexsort(tuple(reversed(keys)))
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    repeats = np.flatnonzero(same)
    if len(repeats):
        at = repeats[np.argmin(order[repeats + 1])]
        fail(int(order[at]), int(order[at + 1]))


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of each line that is not empty.

    Raises:
        InputError: `path` is not a file.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file. Check the path.")
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if stripped := line.rstrip("\r\n"):
                yield number, stripped


def line_number(path: Path, row: int) -> int:
    """Return the line number, from 1, of the `row`-th (from 0) line that is not empty."""
    for position, (number, _) in enumerate(numbered_lines(path)):
        if position == row:
            return number
    raise ValueError(f"{path} has no row {row}")


def is_number(text: str, kind: type[int] | type[float]) -> bool:
    """Return whether `text` is a finite number of that type."""
    try:
        return math.isfinite(kind(text))
    except (ValueError, OverflowError):
        return False
