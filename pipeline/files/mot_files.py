"""MOTChallenge text: ground truth and tracking results of one camera, one box per line.

The text counts frames from 1, everything in memory counts from 0; only this module converts.

Columns: frame, id, left, top, width, height, flag or confidence, then
  - class, visibility (8 or 9 columns): MOT16, MOT17 and MOT20 ground truth;
  - world x, y, z (10 columns): MOT15 ground truth, and results, which have -1 there. Neither has a class; all
    their boxes are people.
Two other benchmarks use the same columns with other meanings, see `_Layout`.
Sources: L. Leal-Taixé et al., MOTChallenge 2015, arXiv 1504.01942; A. Milan et al., MOT16, arXiv 1603.00831.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.files.track_boxes import (
    LARGEST_NUMBER,
    TrackBoxes,
    check_boxes,
    check_unique,
    is_number,
    line_number,
    numbered_lines,
)

PEDESTRIAN = 1
"""Class id of a walking person in MOT16, MOT17 and MOT20 ground truth."""

_COLUMNS = ("frame", "id", "left", "top", "width", "height", "flag", "class")
_FRAME, _ID, _LEFT, _TOP, _WIDTH, _HEIGHT, _FLAG, _CLASS = range(8)
_REQUIRED_COLUMNS = _HEIGHT + 1
_COLUMN_COUNTS_WITH_CLASS = (8, 9)
_VISDRONE_COLUMNS = 10
# Boxes in shares of the picture reach to 1, or slightly beyond.
_LARGEST_SHARE = 2.0
_log = logging.getLogger(__name__)


def read_ground_truth(
    path: Path,
    *,
    classes: Collection[int] | Literal["all"] | None = None,
    tell: Callable[[str], None] = _log.warning,
) -> TrackBoxes:
    """Read the ground truth of one camera.

    Rows with flag 0 ("do not evaluate") and, if there is a class column, rows of other classes are left out without
    further checks. If all rows have flag 0, or no class is above 0, the column is taken as not filled in. An empty file
    is allowed: nobody appears in this camera.

    Args:
        path: `gt.txt`, without header.
        classes: class ids to keep; None keeps people, as the layout of the file numbers them.
        tell: called with a sentence for everything that is left out or not as in MOTChallenge.

    Raises:
        InputError: the file is missing; a row has too few columns, text or NaN; a kept row has a frame
            below 1, a negative id or a box without area; an id occurs twice in one frame. The message
            names the line.
    """
    table = _read_table(path)
    layout = _Layout.of(table)
    if layout.name:
        tell(f"{path} has the layout of {layout.name}: the class is in column {(layout.class_column or 0) + 1}")
    keep = np.ones(len(table), np.bool_)
    left_out = []
    if layout.has_flag and len(table):
        keep &= table[:, _FLAG] != 0
        if not keep.any():
            tell(f"{path}: all {len(table)} rows have flag 0 (do not evaluate); the flag is not used")
            keep[:] = True
        elif not keep.all():
            left_out.append(f"{int((~keep).sum())} with flag 0")
    if layout.class_column is None:
        if classes not in (None, "all") and len(table):
            tell(f"{path} has no class column: all rows count, whatever classes are chosen")
    elif len(table) and classes != "all":
        found = table[:, layout.class_column]
        if classes is None and found.max() <= 0:
            tell(f"{path}: the class of all rows is {_listed(found)}; the class column is not used")
        else:
            wanted = np.isin(found, list(layout.people if classes is None else classes))
            if (keep & ~wanted).any():
                left_out.append(f"those of class {_listed(found[keep & ~wanted])}")
            keep &= wanted
    if left_out:
        kept = f"{int(keep.sum())} of {len(table)} rows are used"
        tell(f"{path}: {kept}; left out are {' and '.join(left_out)}")
    rows = np.flatnonzero(keep)
    boxes = _track_boxes(path, table[rows], rows, np.ones(len(rows)))
    if len(boxes) and boxes.xyxy.max() <= _LARGEST_SHARE:
        tell(f"{path}: no box reaches further than {boxes.xyxy.max():.3g} px: are these shares of the picture?")
    return boxes


def _listed(classes: NDArray[np.float64]) -> str:
    """Return the distinct classes with the number of their rows."""
    values, counts = np.unique(classes, return_counts=True)
    return ", ".join(f"{value:g} ({count})" for value, count in zip(values, counts, strict=True))


@dataclass(frozen=True)
class _Layout:
    """What the columns of a ground truth after the box mean.

    - VisDrone (10 columns): flag, class, truncation, occlusion; classes 1 pedestrian and 2 people in other poses.
    - UAVDT (9 columns): out of view, occlusion, class; classes 1 car, 2 truck, 3 bus, but nobody on foot.

    Attributes:
        name: of a benchmark other than MOTChallenge; empty for that.
        has_flag: whether 0 in the seventh column means "do not evaluate".
        class_column: index of the column, None if there is none.
        people: the classes that are kept unless others are chosen.
    """

    name: str = ""
    has_flag: bool = False
    class_column: int | None = None
    people: Collection[int] = (PEDESTRIAN,)

    @classmethod
    def of(cls, table: NDArray[np.float64]) -> _Layout:
        """Recognise the layout of a file by its (rows, columns) numbers."""
        columns = table.shape[1]
        if columns not in (*_COLUMN_COUNTS_WITH_CLASS, _VISDRONE_COLUMNS):
            return cls(has_flag=columns > _FLAG)
        if columns == _VISDRONE_COLUMNS:
            last = table[:, _CLASS:]
            is_visdrone = len(last) > 0 and bool(
                (last == np.floor(last)).all()
                and (last >= 0).all()
                and (last <= (11, 1, 2)).all()
                and last[:, 0].any()
            )
            return cls("VisDrone", True, _CLASS, (1, 2)) if is_visdrone else cls(has_flag=True)
        if columns == _CLASS + 2 and len(table):
            last = table[:, _FLAG:]
            is_uavdt = bool((last == np.floor(last)).all() and (last >= 1).all() and (last <= (3, 4, 3)).all())
            # A visibility, which MOTChallenge has in this column, is at most 1.
            if is_uavdt and last[:, -1].max() > 1:
                return cls("UAVDT", False, _CLASS + 1, (1, 2, 3))
        return cls(has_flag=True, class_column=_CLASS)


def read_results(path: Path) -> TrackBoxes:
    """Read the tracking results of one camera; rows of any confidence are kept.

    Raises:
        InputError: as for `read_ground_truth`.
    """
    table = _read_table(path)
    confidence = table[:, _FLAG].copy() if table.shape[1] > _FLAG else np.ones(len(table))
    return _track_boxes(path, table, np.arange(len(table)), confidence)


def result_line(frame_index: int, box_id: int, xyxy: Sequence[float], confidence: float) -> str:
    """Return one box as a line of a result file, without the line end.

    Args:
        frame_index: counted from 0; the line counts from 1.
        box_id: id of the person in the box, not negative.
        xyxy: left, top, right, bottom in pixels.
        confidence: in [0, 1].
    """
    left, top, right, bottom = xyxy
    return (
        f"{frame_index + 1},{box_id},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},"
        f"{confidence:.4f},-1,-1,-1"
    )


def _read_table(path: Path) -> NDArray[np.float64]:
    """Read all columns: (rows, columns). Those up to the flag are finite, and so is the class if there are 8 or 9
    columns; a later column is NaN as a whole if it holds anything but numbers."""
    columns = _count_columns(path)
    if columns == 0:
        return np.zeros((0, _REQUIRED_COLUMNS))
    used = len(_COLUMNS) if columns in _COLUMN_COUNTS_WITH_CLASS else min(columns, _CLASS)
    names, more = [f"f{i}" for i in range(used)], [f"f{i}" for i in range(used, columns)]
    try:
        with pa.OSFile(os.fsencode(path)) as file:  # a name need not be text in UTF-8
            arrow = pyarrow.csv.read_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True),
                parse_options=pyarrow.csv.ParseOptions(quote_char=False),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types={name: pa.float64() for name in names} | {name: pa.string() for name in more},
                    include_columns=names + more,
                ),
            )
    except pa.ArrowException as error:
        _raise_for_bad_line(path, columns, used, error)
    table = np.stack([arrow.column(name).to_numpy() for name in names], axis=1)
    if not np.isfinite(table).all():
        _raise_for_bad_line(path, columns, used, None)
    return np.column_stack([table, *(_numbers(arrow.column(name)) for name in more)])


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    except pa.ArrowInvalid:
        return np.full(len(column), np.nan)


def _count_columns(path: Path) -> int:
    """Return the number of columns of the first line that is not empty; 0 for an empty file."""
    for number, line in numbered_lines(path):
        columns = line.count(",") + 1
        if columns < _REQUIRED_COLUMNS:
            raise InputError(
                f"{path}, line {number}: {columns} columns, but MOTChallenge text has at least "
                f"{_REQUIRED_COLUMNS}, separated by commas: {','.join(_COLUMNS[:_REQUIRED_COLUMNS])}. "
                "Correct the file."
            )
        return columns
    return 0


def _raise_for_bad_line(path: Path, columns: int, used: int, error: Exception | None) -> NoReturn:
    for number, line in numbered_lines(path):
        fields = line.split(",")
        if len(fields) != columns:
            raise InputError(
                f"{path}, line {number}: {len(fields)} columns, but the first line has {columns}. "
                "The file may be cut off; correct or remove the row."
            ) from error
        for name, field in zip(_COLUMNS[:used], fields, strict=False):
            if not is_number(field, float):
                raise InputError(
                    f"{path}, line {number}: {name} is {shown(field.strip())}, not a finite number. "
                    "Correct or remove the row."
                ) from error
    raise InputError(f"{path} cannot be read as MOTChallenge text: {error}") from error


def _track_boxes(
    path: Path, table: NDArray[np.float64], rows: IntArray, confidence: NDArray[np.float64]
) -> TrackBoxes:
    """Convert `table`, the rows `rows` of the file, to frames from 0 and corners instead of sizes, and check it."""

    def line(row: int) -> int:
        return line_number(path, int(rows[row]))

    def fail(row: int, problem: str) -> NoReturn:
        raise InputError(f"{path}, line {line(row)}: {problem}")

    def fail_twice(first: int, second: int) -> NoReturn:
        fail(
            second,
            f"frame {boxes.frame_index[second] + 1} has id {boxes.ids[second]} again, as in line "
            f"{line(first)}. One person cannot be in two boxes of one image: remove or renumber one row.",
        )

    for column in (_FRAME, _ID):
        fractional = np.flatnonzero(table[:, column] != np.floor(table[:, column]))
        if len(fractional):
            row = int(fractional[0])
            fail(row, f"{_COLUMNS[column]} {table[row, column]:g} is not a whole number. Correct the row.")
    early = np.flatnonzero(table[:, _FRAME] < 1)
    if len(early):
        row = int(early[0])
        fail(row, f"frame {table[row, _FRAME]:g}, but MOTChallenge text counts from 1. Renumber the frames.")
    for column in range(_HEIGHT + 1):
        large = np.flatnonzero(np.abs(table[:, column]) > LARGEST_NUMBER)
        if len(large):
            row = int(large[0])
            fail(row, f"{_COLUMNS[column]} {table[row, column]:g} is above {LARGEST_NUMBER:g}. Correct the row.")

    left_top, size_wh = table[:, _LEFT:_WIDTH], table[:, _WIDTH:_FLAG]
    boxes = TrackBoxes(
        frame_index=table[:, _FRAME].astype(np.int64) - 1,
        ids=table[:, _ID].astype(np.int64),
        xyxy=np.concatenate([left_top, left_top + size_wh], axis=1),
        confidence=confidence,
    )
    check_boxes(boxes, fail)
    check_unique((boxes.frame_index, boxes.ids), fail_twice)
    return boxes
