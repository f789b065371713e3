"""trajectories.csv and the MOT text beside it: the columns, how rows are written, and how they are read again.

While a run goes on, rows carry the online ids and are appended whole; at its end the files are rewritten with the
final ids. Either way every file on disk is complete up to its last line.
"""

from __future__ import annotations

import csv
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TextIO

from pipeline.datatypes import Link, TrajectoryRow
from pipeline.errors import InputError, RunError
from pipeline.folder_lock import FolderLock
from pipeline.mot_files import result_line

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
# The folder of rows with their final ids until they take the place of the others; a kill leaves it behind.
REWRITING_NAME = "rewriting"
_FLUSH_INTERVAL_S = 0.5
_log = logging.getLogger(__name__)


class LinkedRow(NamedTuple):
    """A row of trajectories.csv."""

    row: TrajectoryRow
    link: Link


class AppendOnlyFile:
    """A text file of whole lines: whenever writing ends, also on a full disk, no line is cut off.

    Lines reach the operating system at the latest half a second after they were written, as long as `write_line` or
    `flush_if_due` is called.

    Raises:
        RunError: the disk is full or the file cannot be written; what was written before stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._bytes = 0
        self._flushed_s = time.monotonic()
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        except OSError as error:
            raise self._failed(error) from error

    def write_line(self, line: str) -> None:
        """Add a line, without its line end."""
        self._lines.append(line)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Flush if that was last done half a second ago."""
        if time.monotonic() - self._flushed_s >= _FLUSH_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Hand all waiting lines to the operating system."""
        data = "".join(f"{line}\n" for line in self._lines).encode()
        self._lines = []
        self._flushed_s = time.monotonic()
        written = 0
        while written < len(data):
            try:
                written += os.write(self._descriptor, data[written:])
            except OSError as error:
                self._bytes += data.rfind(b"\n", 0, written) + 1
                with suppress(OSError):  # what cannot be written may be no file that can be cut
                    os.ftruncate(self._descriptor, self._bytes)
                raise self._failed(error) from error
        self._bytes += written

    def close(self) -> None:
        """Flush, and make sure that a power cut loses nothing."""
        try:
            self.flush()
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def _failed(self, error: OSError) -> RunError:
        return RunError(
            f"{self._path} cannot be written: {error.strerror}; the rows before that are kept. Free space or "
            "choose another --output"
        )


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
        self._csv = AppendOnlyFile(folder / "trajectories.csv")
        self._mot = {name: AppendOnlyFile(folder / "mot" / f"{name}.txt") for name in camera_ids}
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


def read_trajectories(path: Path) -> Iterator[LinkedRow]:
    """The rows of a trajectories.csv in file order, one in memory at a time.

    Raises:
        InputError: no such file, other columns, or a bad value, with the line number.
    """
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


def hold_results(folder: Path, command: str) -> FolderLock:
    """The folder, which is created if need be, for one command that writes results as recordings give them.

    Raises:
        InputError: another command holds it.
    """
    advice = "wait until that has ended, or choose another --output"
    return FolderLock(folder, command, advice=advice, private=False)


def clear_results(folder: Path, overwrite: bool) -> None:
    """Make room for a run's files in `folder`, which is created if need be. What a kill left half made goes, too.

    Raises:
        InputError: results are there already and `overwrite` is False, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output folder {folder} cannot be made: {error.strerror}") from error
    old = [folder / name for name in ("trajectories.csv", "trajectories.mp4", "run.json", "tracklets.arrow")]
    old += sorted(folder.glob("mot/*.txt")) + sorted(folder.glob("detections/*.parquet"))
    present = [path for path in old if path.exists()]
    if present and not overwrite:
        raise InputError(f"{present[0]} already exists. Use --overwrite to replace the results in {folder}")
    # These hold rows and pictures of people, and nothing else would ever delete or read them.
    half_made = [*folder.glob(".*.purging"), *folder.glob("mot/.*.purging"), *folder.glob("trajectories.part.mp4")]
    for path in (*present, *half_made):
        path.unlink()
    if (folder / REWRITING_NAME).is_dir():
        shutil.rmtree(folder / REWRITING_NAME)
