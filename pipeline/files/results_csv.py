"""Writes and reads trajectories.csv, and writes the MOT text beside it.

During a run, whole rows with online ids are appended; at its end the files are rewritten with the final ids. At any
time, every file on disk is complete up to its last line.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path
from types import TracebackType
from typing import TextIO

from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.files.csv_rows import CsvRows
from pipeline.files.mot_files import result_line
from pipeline.files.track_boxes import LARGEST_NUMBER, is_number
from pipeline.files.whole_files import BufferedLines

COLUMNS = (
    "global_id",
    "camera_id",
    "track_id",
    "frame_index",
    "time_s",
    "utc",
    "class_name",
    "x1",
    "y1",
    "x2",
    "y2",
    "confidence",
    "link_confidence",
    "link_state",
    "interpolated",
    "world_x_m",
    "world_y_m",
)
_log = logging.getLogger(__name__)


class TrajectoryWriter:
    """Writes trajectories.csv and mot/<camera>.txt into a folder; a context manager.

    Args:
        folder: receives the files; files of the same names are replaced.
        camera_ids: each gets a MOT file, even if nobody is seen there.
        epoch_utc: date and time of second 0 of the run's clock; None leaves the column utc empty.

    Raises:
        RunError: a file cannot be written, for example because the disk is full; earlier rows are kept.
    """

    def __init__(self, folder: Path, camera_ids: list[str], epoch_utc: datetime | None) -> None:
        (folder / "mot").mkdir(parents=True, exist_ok=True)
        self._epoch_utc = epoch_utc
        self._csv = BufferedLines(folder / "trajectories.csv")
        self._mot = {name: BufferedLines(folder / "mot" / f"{name}.txt") for name in camera_ids}
        self._csv.write_line(",".join(COLUMNS))
        self.rows = 0

    def write(self, linked: LinkedRow) -> None:
        """Add a row."""
        self.rows += 1
        self._csv.write_line(csv_line(linked, self._epoch_utc))
        row = linked.row
        self._mot[row.camera_id].write_line(
            result_line(row.frame_index, linked.link.global_id, row.xyxy, row.confidence)
        )

    def flush_if_due(self) -> None:
        """Flush if the last flush was half a second ago; call this while no rows come, so that the last ones reach the
        disk."""
        for file in (self._csv, *self._mot.values()):
            file.flush_if_due()

    def close(self) -> None:
        """Flush and close all files."""
        with ExitStack() as stack:
            for file in (self._csv, *self._mot.values()):
                stack.callback(file.close)

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def csv_line(linked: LinkedRow, epoch_utc: datetime | None) -> str:
    """Return the row as a line of trajectories.csv, without line end; without `epoch_utc` the column utc is empty."""
    row, link = linked.row, linked.link
    utc = ""
    if epoch_utc is not None:
        # Rounded like time_s; isoformat would truncate.
        moment = epoch_utc + timedelta(seconds=round(row.time_s, 3))
        utc = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    world = ("", "") if row.world_xy_m is None else tuple(f"{value:.3f}" for value in row.world_xy_m)
    return ",".join(
        (
            str(link.global_id),
            row.camera_id,
            str(row.track_id),
            str(row.frame_index),
            f"{row.time_s:.3f}",
            utc,
            _quoted(row.class_name),
            *(f"{value:.2f}" for value in row.xyxy),
            f"{row.confidence:.4f}",
            f"{link.confidence:.3f}",
            "final" if link.final else "provisional",
            "1" if row.interpolated else "0",
            *world,
        )
    )


def _quoted(text: str) -> str:
    """Quote a field as RFC 4180 requires: class names can hold any character, while camera names hold no commas."""
    if not any(character in text for character in ',"\r\n'):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def read_trajectories(path: str | Path, *, strict: bool = False) -> Iterator[LinkedRow]:
    """Yield the rows of a trajectories.csv in file order, with one in memory at a time.

    Columns may be in any order, and there may be other columns. Without the link columns, links are provisional with
    confidence 1. With `strict`, as used for scoring, times may be missing; they are then NaN.

    Args:
        strict: whether to raise an error for content that a finished run never writes: a last line without its end, a
            box without area, a negative frame or id. Otherwise an incomplete last line is left out with a warning, and
            boxes are not checked.

    Raises:
        InputError: the file or a column is missing, or a value is not a number (the message gives the line).
    """
    return (linked for _, linked in numbered_trajectories(Path(path), strict=strict))


def numbered_trajectories(path: Path, *, strict: bool = False) -> Iterator[tuple[int, LinkedRow]]:
    """Yield the rows as `read_trajectories` does, each with the number of its line, from 1."""

    def torn(number: int) -> None:
        if strict:
            raise InputError(f"{path}, line {number}: it has no end, so it may be cut off. Complete or remove it.")
        _log.warning("%s was cut off while it was written; its last line is left out", path)

    if not path.is_file():
        raise InputError(f"{path}: cannot be read: it is not a file. Check the path.")
    try:
        file = path.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        reader = None
        try:
            reader = CsvRows(whole_lines(file, torn))
            yield from _linked_rows(path, reader, strict)
        except (UnicodeDecodeError, csv.Error) as error:
            line = 0 if reader is None else reader.line_num
            raise InputError(f"{path}, after line {line}: is not CSV text in UTF-8 ({error})") from error


def _linked_rows(path: Path, reader: CsvRows, strict: bool) -> Iterator[tuple[int, LinkedRow]]:
    """Yield the rows of an open CSV, see `numbered_trajectories`."""
    header: list[str] = next(reader, [])
    if not header:
        raise InputError(f"{path} is empty, without even a header line. Give a trajectories.csv of this program.")
    optional = _OPTIONAL | {"time_s"} if strict else _OPTIONAL
    missing = [name for name in COLUMNS if name not in header and name not in optional]
    if missing:
        raise InputError(
            f"{path}: the header has no column {', '.join(missing)}. Give a trajectories.csv of this program."
        )
    place = {name: header.index(name) for name in COLUMNS if name in header}
    for values in reader:
        if not values:
            continue
        try:
            if len(values) != len(header):
                raise ValueError(
                    f"{len(values)} columns, but the header has {len(header)}. The file may be cut off; correct or "
                    "remove the row."
                )
            linked = linked_row({name: values[at] for name, at in place.items()}, needs_time=not strict)
            if strict:
                _check(linked)
        except ValueError as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}") from error
        yield reader.line_num, linked


# Columns that a CSV of another program may lack.
_OPTIONAL = frozenset({"utc", "link_confidence", "link_state", "world_x_m", "world_y_m"})


def whole_lines(file: TextIO, on_torn: Callable[[int], None] = lambda number: None) -> Iterator[str]:
    """Yield the complete lines of a file. An incomplete last line is left out: it is still being written, or the run
    was killed while writing it.

    Args:
        on_torn: called with the number, from 1, of an incomplete last line.
    """
    for number, line in enumerate(file, start=1):
        if not line.endswith("\n"):
            on_torn(number)
            return
        yield line


def linked_row(text: Mapping[str, str], *, needs_time: bool) -> LinkedRow:
    """Return a row from its texts by column; without `needs_time`, time_s may be empty.

    Raises:
        ValueError: a text is no number.
    """

    def whole(name: str) -> int:
        return int(_number(name, text[name], int))

    def real(name: str) -> float:
        return _number(name, text[name], float)

    on_floor = bool(text.get("world_x_m")) and bool(text.get("world_y_m"))
    row = TrajectoryRow(
        camera_id=text["camera_id"],
        track_id=whole("track_id"),
        frame_index=whole("frame_index"),
        time_s=real("time_s") if needs_time or text.get("time_s") else nan,
        class_name=text["class_name"],
        xyxy=(real("x1"), real("y1"), real("x2"), real("y2")),
        confidence=real("confidence"),
        world_xy_m=(real("world_x_m"), real("world_y_m")) if on_floor else None,
        interpolated=whole("interpolated") == 1,
    )
    sure = real("link_confidence") if text.get("link_confidence") else 1.0
    return LinkedRow(row, Link(whole("global_id"), sure, text.get("link_state") == "final"))


def _number(name: str, text: str, kind: type[int] | type[float]) -> float:
    if not is_number(text, kind) or abs(kind(text)) > LARGEST_NUMBER:
        raise ValueError(
            f"{name} is {shown(text)}, not a finite number of type {kind.__name__} up to 2 ** 53. Correct or remove "
            "the row."
        )
    return kind(text)


def _check(linked: LinkedRow) -> None:
    """Raise ValueError for a row that no finished run writes."""
    x1, y1, x2, y2 = linked.row.xyxy
    if linked.row.frame_index < 0:
        raise ValueError(f"the frame is {-linked.row.frame_index} before the first. Renumber the frames.")
    if linked.link.global_id < 0:
        raise ValueError(f"global_id is {linked.link.global_id}, but ids are not negative. Renumber it.")
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"the box is {x2 - x1:g} px wide and {y2 - y1:g} px high. Correct or remove the row.")
