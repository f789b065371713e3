"""Finds and reads the files of an output folder that hold data of persons; a run may be writing them meanwhile."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TextIO

from pipeline.core.errors import InputError, RunError
from pipeline.files import whole_files
from pipeline.files.copies import COPIES_NAME, noted_copies
from pipeline.files.folder_lock import FolderLock
from pipeline.files.readable_rows import ReadableRows
from pipeline.files.regular_file import open_regular, read_regular
from pipeline.files.results_csv import COLUMNS
from pipeline.files.run_folder import (
    DECISIONS_NAME,
    EVENTS_NAME,
    HEAT_MAPS,
    SECOND_RUN_NAMES,
    STILL_NAME,
    reports,
)
from pipeline.files.whole_files import FILE_MODE
from pipeline.live.output.event_segments import event_segments
from pipeline.live.output.manifest import recorded
from pipeline.live.output.segments import REMAP_COLUMNS, corrections, run_id_of, segments

# Bytes; a message has a few hundred.
_LONGEST_MESSAGE = 1 << 16
# Suffixes of files that logrotate has compressed.
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})


@dataclass(frozen=True)
class RunFolder:
    """The output folder of `mtmc live` or `mtmc track`.

    Raises:
        InputError: it contains no results.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.csv_files and not any(self.path.glob("manifest-*.json")):
            raise InputError(f"{self.path} holds no results of `mtmc live` or `mtmc track`")

    @property
    def csv_files(self) -> list[Path]:
        """Files with rows, oldest first."""
        of_recordings = self.path / "trajectories.csv"
        return segments(self.path) + (
            [of_recordings] if of_recordings.exists() and not of_recordings.is_fifo() else []
        )

    @property
    def decisions(self) -> Path | None:
        """The file of decisions of a recording, None if there is none."""
        path = self.path / DECISIONS_NAME
        return path if path.is_file() and (self.path / "trajectories.csv").exists() else None

    @property
    def event_files(self) -> list[Path]:
        """Files with events at zones and lines, oldest first."""
        of_recordings = self.path / EVENTS_NAME
        return [*event_segments(self.path), *([of_recordings] if of_recordings.is_file() else [])]

    @property
    def heat_maps(self) -> list[Path]:
        """Pictures of `mtmc count --heat-map` here and directly below: sums over everybody, which can be made again."""
        return sorted({path for pattern in HEAT_MAPS for path in self.path.glob(pattern) if path.is_file()})

    @property
    def json_lines(self) -> list[Path]:
        """Files that JSON lines sinks wrote, here or elsewhere, including rotated ones but not compressed ones."""
        return [path for path in self._messages if path.suffix not in _COMPRESSED]

    @property
    def out_of_reach(self) -> list[str]:
        """Descriptions of other places that hold or may hold data of these runs: brokers, compressed files, sink files
        that are no longer there, other results in this folder, exports, converted files, and site files."""
        compressed = [str(path) for path in self._messages if path.suffix in _COMPRESSED]
        noted = recorded(self.path)
        gone = [f"{name} (no longer there)" for name in noted.sink_files if not self._files_of_sink(Path(name))]
        damaged = [f"sinks that only {name} names, which is damaged" for name in noted.damaged]
        nested = [f"the results in {folder}" for folder in self._nested]
        exports = [str(path) for path in sorted(self.path.rglob("person-*.json")) if path.is_file()]
        return [
            *compressed,
            *gone,
            *damaged,
            *nested,
            *exports,
            *self._copies,
            *self._site_files,
            *noted.receivers,
        ]

    @property
    def _copies(self) -> list[str]:
        """Descriptions of the files that `mtmc convert` wrote, wherever they are."""
        try:
            noted = noted_copies(self.path)
        except OSError as error:
            return [f"copies that only {COPIES_NAME} names, which cannot be read ({error.strerror})"]
        damaged = [f"copies that only {COPIES_NAME} names, which is damaged"] if noted.damaged else []
        return [*noted.places, *damaged]

    def is_ours(self, path: Path, run_id: object) -> bool:
        """Return whether a message in one of `json_lines` is from a run of this folder.

        A file elsewhere may be shared with runs of other folders, in which the same id means another person.
        """
        here = path.resolve().is_relative_to(self.path.resolve())
        return here or (isinstance(run_id, str) and run_id in self._run_ids)

    @cached_property
    def _run_ids(self) -> frozenset[str]:
        return frozenset({*recorded(self.path).run_ids, *map(run_id_of, segments(self.path))})

    @cached_property
    def _messages(self) -> list[Path]:
        found = {path.resolve() for path in self.path.glob("*.jsonl*")}
        for name in recorded(self.path).sink_files:
            found |= set(self._files_of_sink(Path(name)))
        # A folder that was moved: its manifests name files in the old place, which may have any suffix.
        found |= {path.resolve() for path in self._below if _holds_messages(path)}
        if self.decisions is not None:
            found.discard(self.decisions.resolve())
        return sorted(path for path in found if path.is_file())

    def _files_of_sink(self, path: Path) -> list[Path]:
        """Return a sink's file and its rotated files (rows.jsonl.1, rows.jsonl-20260501.gz), where they were written,
        or in this folder if it was moved."""
        found: set[Path] = set()
        for folder in (path.parent, self.path):
            with suppress(OSError):  # a folder that cannot be listed; its file is then named as not reached
                found |= {
                    each.resolve()
                    for each in folder.iterdir()
                    if each.name == path.name or each.name.startswith((f"{path.name}.", f"{path.name}-"))
                }
        return sorted(each for each in found if each.is_file())

    @property
    def _below(self) -> list[Path]:
        """All files in this folder and below it, without those of other results."""
        return [
            path
            for path in self.path.rglob("*")
            if path.is_file() and not any(path.is_relative_to(nested) for nested in self._nested)
        ]

    @cached_property
    def _nested(self) -> list[Path]:
        """Folders below this one that hold results of other runs, in which ids mean other people."""
        marks = ("trajectories.csv", "manifest-*.json", "traj-*-*.csv", "traj-*-*.csv.part")
        folders = {path.parent for mark in marks for path in self.path.rglob(mark)}
        of_this_run = {self.path, *(self.path / name for name in SECOND_RUN_NAMES)}
        return sorted(folders - of_this_run)

    @property
    def _site_files(self) -> list[str]:
        """Descriptions of the site files of the runs. A site file holds camera means, to which every person in the
        recordings of `mtmc reid adapt` contributed."""
        found = set()
        for path in [*self.path.glob("manifest-*.json"), self.path / "run.json"]:
            with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                found.add(json.loads(read_regular(path).decode("utf-8"))["config"]["embedder"]["site"])
        return [f"the camera means in {name}" for name in sorted(name for name in found if isinstance(name, str))]

    @property
    def reports(self) -> list[Path]:
        """The reports of the run in this folder. They show everybody, and `mtmc report` writes them again."""
        return reports(self.path)

    @property
    def shared_files(self) -> list[Path]:
        """Videos, pictures and saved detections, which show everybody, and the demo's second run, in which ids mean
        other people; one person cannot be removed from them."""
        second_runs = [self.path / name for name in SECOND_RUN_NAMES]
        return sorted(
            [
                *self.path.glob("detections/*.parquet"),
                *self.path.glob("*.mp4"),
                *self.path.glob(STILL_NAME),
                *(folder for folder in second_runs if (folder / "trajectories.csv").exists()),
            ]
        )

    def rows(self, path: Path) -> ReadableRows:
        """Return the rows of a CSV file that can be read, as texts in the order of the columns; see `ReadableRows`.

        Raises:
            InputError: while iterating: the file has other columns.
        """
        return ReadableRows(path)

    def remaps(self) -> list[dict[str, str]]:
        """Return the rows of remap.csv that can be read; none without the file."""
        return [dict(zip(REMAP_COLUMNS, row, strict=True)) for row in corrections(self.path)]

    def locked(self) -> FolderLock:
        """Lock the folder: no other process writes to it until the lock is closed.

        Raises:
            InputError: a run is writing to it.
        """
        advice = (
            "stop it first (Ctrl-C, or SIGTERM), and start it again afterwards. It holds people in memory, and would "
            "write the deleted data again"
        )
        return FolderLock(self.path, "mtmc person purge", advice=advice, private=True)

    @contextmanager
    def keeping_ids(self) -> Generator[None, None, None]:
        """Check that ids mean the same people during the whole block. A recording's ids change when they become final.

        Raises:
            InputError: they changed meanwhile.
        """
        path = self.path / "trajectories.csv"
        with ExitStack() as held:
            # Held open, so that no other file can get its inode.
            before = held.enter_context(path.open("rb")) if path.is_file() else None
            yield
            if before is not None and not (
                path.exists() and os.path.samestat(os.fstat(before.fileno()), path.stat())
            ):
                raise InputError(
                    f"{path} was rewritten while it was read, so ids mean other people now: look up the person's id "
                    "again"
                )


def _holds_messages(path: Path) -> bool:
    """Return whether the first line of a file is a message of a JSON lines sink."""
    try:
        with open_regular(path) as file:
            line = file.readline(_LONGEST_MESSAGE)
    except OSError:
        return False
    content = message_in(line) if line.startswith(b"{") else None
    return content is not None and content.get("kind") in ("row", "remap", "event") and "run_id" in content


def message_in(line: bytes) -> dict[str, object] | None:
    """Return the JSON object in a line; None if it is damaged or something else."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_csv(file: TextIO, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write rows with a header, as a run does; `file` is open with newline=''."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """Yield a file that replaces `path` atomically if the block succeeds; it keeps the times of `path`.

    Raises:
        RunError: for example, the disk is full; then `path` is unchanged.
    """
    try:
        before = path.stat()
        with whole_files.replacing(path, mode=FILE_MODE) as part:
            yield part
            os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
    except OSError as error:
        raise RunError(f"{path} cannot be rewritten: {error.strerror or error}; it is unchanged") from error


def utc_of(row: list[str]) -> datetime | None:
    """Return the time of a row; None if the run had no dates."""
    text = row[COLUMNS.index("utc")]
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
