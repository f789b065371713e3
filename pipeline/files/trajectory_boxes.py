"""The boxes of a written trajectories.csv, for evaluation."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray, check_array
from pipeline.core.errors import InputError
from pipeline.files.track_boxes import (
    TrackBoxes,
    check_boxes,
    check_unique,
    is_number,
    line_number,
    numbered_lines,
)

_COLUMNS: dict[str, pa.DataType] = {
    "global_id": pa.int64(),
    "camera_id": pa.dictionary(pa.int32(), pa.string()),
    "track_id": pa.int64(),
    "frame_index": pa.int64(),
    "class_name": pa.dictionary(pa.int32(), pa.string()),
    "x1": pa.float64(),
    "y1": pa.float64(),
    "x2": pa.float64(),
    "y2": pa.float64(),
    "confidence": pa.float64(),
    "interpolated": pa.int64(),
}


@dataclass(frozen=True, eq=False)
class TrajectoryBoxes:
    """What one camera contributed to trajectories.csv.

    Attributes:
        boxes: N boxes; their ids are the global ids.
        track_id: (N,) int64, the track inside the camera that each box belongs to.
    """

    boxes: TrackBoxes
    track_id: IntArray

    def __post_init__(self) -> None:
        check_array("TrajectoryBoxes", "track_id", self.track_id, (len(self.boxes),), np.int64)


def read_trajectories(
    path: Path, *, class_name: str | None = None, interpolated: bool = True
) -> dict[str, TrajectoryBoxes]:
    """Read the boxes of trajectories.csv, camera by camera.

    Args:
        path: the CSV with its header line; the columns may be in any order.
        class_name: keep only the boxes of this class; None keeps all.
        interpolated: False leaves out the boxes that no detector saw.

    Returns:
        Camera id -> its boxes, cameras in alphabetical order. A camera whose rows were all left out stays,
        with no boxes.

    Raises:
        InputError: no such file; a missing column; a row that is cut off, or with text or nothing in a
            numeric column; a box without area; a global id twice in one frame of a camera. The message
            names the line. All rows are checked, also those that are then left out.
    """
    header = _read_header(path)
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{path}: the header has no column {', '.join(missing)}. Give a trajectories.csv of this program."
        )
    try:
        table = pyarrow.csv.read_csv(
            path,
            convert_options=pyarrow.csv.ConvertOptions(column_types=_COLUMNS, include_columns=list(_COLUMNS)),
        )
    except pa.ArrowInvalid as error:
        _raise_for_bad_line(path, header, error)
    if any(column.null_count for column in table.columns):
        _raise_for_bad_line(path, header, None)

    cameras, camera_code = _texts(table, "camera_id")
    class_names, class_code = _texts(table, "class_name")
    boxes = TrackBoxes(
        frame_index=_numbers(table, "frame_index"),
        ids=_numbers(table, "global_id"),
        xyxy=np.stack([_numbers(table, name) for name in ("x1", "y1", "x2", "y2")], axis=1),
        confidence=_numbers(table, "confidence"),
    )
    _check(path, boxes, cameras, camera_code)

    keep = np.ones(len(boxes), np.bool_)
    if class_name is not None:
        keep &= class_code == (class_names.index(class_name) if class_name in class_names else -1)
    if not interpolated:
        keep &= _numbers(table, "interpolated") == 0
    track_id = _numbers(table, "track_id")
    result = {}
    for camera in sorted(cameras):
        rows = np.flatnonzero(keep & (camera_code == cameras.index(camera)))
        result[camera] = TrajectoryBoxes(boxes[rows], track_id[rows])
    return result


def _check(path: Path, boxes: TrackBoxes, cameras: Sequence[str], camera_code: IntArray) -> None:
    def line(row: int) -> int:
        return line_number(path, row + 1)

    def fail(row: int, problem: str) -> NoReturn:
        raise InputError(f"{path}, line {line(row)}: {problem}")

    def fail_twice(first: int, second: int) -> NoReturn:
        fail(
            second,
            f"camera {cameras[camera_code[second]]!r}, frame_index {boxes.frame_index[second]} has global_id "
            f"{boxes.ids[second]} again, as in line {line(first)}. One person cannot be in two boxes of one "
            "image: remove or renumber one row.",
        )

    check_boxes(boxes, fail)
    check_unique((camera_code, boxes.frame_index, boxes.ids), fail_twice)


def _read_header(path: Path) -> list[str]:
    for _, line in numbered_lines(path):
        return next(csv.reader([line]))
    raise InputError(f"{path} is empty, without even a header line. Give a trajectories.csv of this program.")


def _numbers(table: Any, name: str) -> NDArray[Any]:
    """A numeric column, (N,)."""
    return np.asarray(table.column(name).to_numpy())


def _texts(table: Any, name: str) -> tuple[list[str], IntArray]:
    """The distinct texts of a column, and for each row its index (N,) among them."""
    column = table.column(name).unify_dictionaries()
    if column.num_chunks == 0:
        return [], np.zeros(0, np.int64)
    codes = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return column.chunk(0).dictionary.to_pylist(), np.concatenate(codes).astype(np.int64)


def _raise_for_bad_line(path: Path, header: Sequence[str], error: Exception | None) -> NoReturn:
    for number, line in numbered_lines(path):
        fields = next(csv.reader([line]))
        if fields == header:
            continue
        if len(fields) != len(header):
            raise InputError(
                f"{path}, line {number}: {len(fields)} columns, but the header has {len(header)}. "
                "The file may be cut off; correct or remove the row."
            ) from error
        for name, field in zip(header, fields, strict=True):
            kind = _COLUMNS.get(name)
            if kind is None or pa.types.is_dictionary(kind):
                continue
            number_kind: type[int] | type[float] = int if pa.types.is_integer(kind) else float
            if not is_number(field, number_kind):
                raise InputError(
                    f"{path}, line {number}: {name} is {field!r}, not a finite number of type "
                    f"{number_kind.__name__}. Correct or remove the row."
                ) from error
    raise InputError(f"{path} cannot be read as trajectories: {error}") from error
