"""trajectories.csv and the MOT text beside it: the columns, how rows are written, and how they are read again.

While a run goes on, rows carry the online ids and are appended whole; at its end the files are rewritten with the
final ids. Either way every file on disk is complete up to its last line.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TextIO

from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.core.errors import InputError
from pipeline.files.mot_files import result_line
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
        camera_ids: each gets a MOT file, also when nobody is ever seen there.
        epoch_utc: date and time of second 0 of the run's clock; None leaves the column utc empty.
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
        """To be called while no rows come: half a second after the last ones they are on disk."""
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
    """The row as a line of trajectories.csv, without its line end; without `epoch_utc` the column utc is empty."""
    row, link = linked.row, linked.link
    utc = ""
    if epoch_utc is not None:
        # Rounded like time_s; isoformat would cut the rest off.
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
    """A field as RFC 4180 wants it: detectors name their classes as they like, camera names hold no commas."""
    if not any(character in text for character in ',"\r\n'):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def read_trajectories(path: str | Path) -> Iterator[LinkedRow]:
    """The rows of a trajectories.csv in file order, one in memory at a time.

    Raises:
        InputError: no such file, other columns, or a bad value, with the line number.
    """
    path = Path(path)
    try:
        file = path.open(newline="", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        reader = csv.reader(_whole_lines(path, file))
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise InputError(f"{path}: is no trajectories.csv: its columns are {','.join(header) or 'none'}")
        for values in reader:
            try:
                yield _linked_row(values)
            except ValueError as error:
                raise InputError(f"{path}, line {reader.line_num}: {error}") from error


def _whole_lines(path: Path, file: TextIO) -> Iterator[str]:
    """The lines of a file; one that a kill or a power cut has left without its end is not among them."""
    for line in file:
        if not line.endswith("\n"):
            _log.warning("%s was cut off while it was written; its last line is left out", path)
            return
        yield line


def _linked_row(values: list[str]) -> LinkedRow:
    if len(values) != len(COLUMNS):
        raise ValueError(f"{len(values)} columns instead of {len(COLUMNS)}")
    text = dict(zip(COLUMNS, values, strict=True))
    row = TrajectoryRow(
        camera_id=text["camera_id"],
        track_id=int(text["track_id"]),
        frame_index=int(text["frame_index"]),
        time_s=float(text["time_s"]),
        class_name=text["class_name"],
        xyxy=(float(text["x1"]), float(text["y1"]), float(text["x2"]), float(text["y2"])),
        confidence=float(text["confidence"]),
        world_xy_m=(float(text["world_x_m"]), float(text["world_y_m"])) if text["world_x_m"] else None,
        interpolated=text["interpolated"] == "1",
    )
    link = Link(int(text["global_id"]), float(text["link_confidence"]), text["link_state"] == "final")
    return LinkedRow(row, link)
