"""Which files of a run's output folder hold data of persons, and whether a run is writing them."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TextIO

from pipeline.errors import InputError, RunError
from pipeline.live.files import FILE_MODE, sync_folder
from pipeline.live.manifest import recorded
from pipeline.live.segments import REMAP_COLUMNS, REMAP_NAME, run_id_of, segments
from pipeline.results_csv import COLUMNS
from pipeline.run_note import NOTE_NAME

# What logrotate compresses with.
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})
# `track` writes at least twice a second; a run that says it goes on but wrote nothing for so long was killed.
_STILL_RUNNING_S = 60.0


@dataclass(frozen=True)
class RunFolder:
    """The output folder of `mtmc live` or `mtmc track`.

    Raises:
        InputError: there are no results in it.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.csv_files and not any(self.path.glob("manifest-*.json")):
            raise InputError(f"{self.path} holds no results of `mtmc live` or `mtmc track`")

    @property
    def csv_files(self) -> list[Path]:
        """Files with rows, oldest first."""
        recorded = self.path / "trajectories.csv"
        return segments(self.path) + ([recorded] if recorded.exists() else [])

    @property
    def json_lines(self) -> list[Path]:
        """What JSON lines sinks wrote, here or elsewhere, with what logrotate made of it."""
        return [path for path in self._messages if path.suffix not in _COMPRESSED]

    @property
    def out_of_reach(self) -> list[str]:
        """Where else rows of these runs are or were sent to, in words."""
        compressed = [str(path) for path in self._messages if path.suffix in _COMPRESSED]
        return compressed + list(recorded(self.path).receivers)

    def is_ours(self, path: Path, run_id: object) -> bool:
        """Whether a message in a file of `json_lines` is of this folder's runs.

        A file elsewhere may be shared with runs of other folders, whose ids are other people's.
        """
        here = path.parent.resolve() == self.path.resolve()
        return here or run_id in self._run_ids

    @cached_property
    def _run_ids(self) -> frozenset[str]:
        return frozenset({*recorded(self.path).run_ids, *map(run_id_of, segments(self.path))})

    @property
    def _messages(self) -> list[Path]:
        found = {path.resolve() for path in self.path.glob("*.jsonl*")}
        for name in recorded(self.path).sink_files:
            path = Path(name)
            # rows.jsonl, and what rotation makes of it: rows.jsonl.1, rows.jsonl-20260501.gz
            found |= {path.resolve()}
            if path.parent.is_dir():
                found |= {
                    each.resolve()
                    for each in path.parent.iterdir()
                    if each.name.startswith((f"{path.name}.", f"{path.name}-"))
                }
        return sorted(path for path in found if path.is_file())

    @property
    def shared_files(self) -> list[Path]:
        """Files that show everybody without saying who is who."""
        return sorted([*self.path.glob("detections/*.parquet"), *self.path.glob("*.mp4")])

    def rows(self, path: Path) -> Iterator[list[str]]:
        """Rows of one of the CSV files as texts, in the order of the columns; without a last line that was cut off.

        Raises:
            InputError: it is no such file.
        """
        return _rows(path, COLUMNS)

    def remaps(self) -> list[dict[str, str]]:
        """Rows of remap.csv; none without the file."""
        path = self.path / REMAP_NAME
        if not path.exists():
            return []
        return [dict(zip(REMAP_COLUMNS, row, strict=True)) for row in _rows(path, REMAP_COLUMNS)]

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Nobody else writes here meanwhile.

        Raises:
            InputError: a run is doing so.
        """
        busy = (
            f"a run is writing into {self.path}: stop it first (Ctrl-C, or SIGTERM), and start it again afterwards. It "
            "holds people in memory, and would write down again what is deleted now"
        )
        self._check_recording(busy)
        lock = os.open(self.path / "live.lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise InputError(busy) from error
        try:
            yield
        finally:
            os.close(lock)

    def _check_recording(self, busy: str) -> None:
        note, rows = self.path / NOTE_NAME, self.path / "trajectories.csv"
        if not note.exists() or not rows.exists():
            return
        try:
            content = json.loads(note.read_text(encoding="utf-8"))
        except ValueError:
            return  # a damaged note says nothing about running
        running = isinstance(content, dict) and content.get("state") == "running"
        if running and time.time() - rows.stat().st_mtime < _STILL_RUNNING_S:
            raise InputError(busy)


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[list[str]]:
    try:
        file = path.open(newline="", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        reader = csv.reader(line for line in file if line.endswith("\n"))
        header = next(reader, [])
        if tuple(header) != columns:
            raise InputError(f"{path}: its columns are {','.join(header) or 'none'}, not those of a run")
        for row in reader:
            if len(row) != len(columns):
                raise InputError(f"{path}, line {reader.line_num}: {len(row)} columns instead of {len(columns)}")
            yield row


def write_csv(file: TextIO, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Rows with a header, as a run writes them; `file` is open with newline=''."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """A file to write that takes the place of `path` when all went well, at one stroke and with the same times.

    Raises:
        RunError: the disk is full, for example; then `path` is as it was.
    """
    part = path.with_name(f".{path.name}.purging")
    try:
        before = path.stat()
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE))
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"{path} cannot be rewritten: {error.strerror or error}; it is as it was") from error
    finally:
        part.unlink(missing_ok=True)


def utc_of(row: list[str]) -> datetime | None:
    """When a row's box was seen; None if the run knew no date."""
    text = row[COLUMNS.index("utc")]
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
