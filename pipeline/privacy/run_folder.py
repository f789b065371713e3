"""Finds and reads the files of an output folder that hold data of persons; a run may be writing them meanwhile."""

from __future__ import annotations

import csv
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TextIO

from pipeline.core.errors import InputError, RunError
from pipeline.files import whole_files
from pipeline.files.folder_lock import FolderLock
from pipeline.files.results_csv import COLUMNS, whole_lines
from pipeline.files.whole_files import FILE_MODE
from pipeline.live.output.manifest import recorded
from pipeline.live.output.segments import REMAP_COLUMNS, REMAP_NAME, run_id_of, segments

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
        recorded = self.path / "trajectories.csv"
        return segments(self.path) + ([recorded] if recorded.exists() else [])

    @property
    def json_lines(self) -> list[Path]:
        """Files that JSON lines sinks wrote, here or elsewhere, including rotated ones but not compressed ones."""
        return [path for path in self._messages if path.suffix not in _COMPRESSED]

    @property
    def out_of_reach(self) -> list[str]:
        """Descriptions of other places to which rows of these runs are or were sent, including compressed files."""
        compressed = [str(path) for path in self._messages if path.suffix in _COMPRESSED]
        return compressed + list(recorded(self.path).receivers)

    def is_ours(self, path: Path, run_id: object) -> bool:
        """Return whether a message in one of `json_lines` is from a run of this folder.

        A file elsewhere may be shared with runs of other folders, in which the same id means another person.
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
            # rows.jsonl and its rotated files: rows.jsonl.1, rows.jsonl-20260501.gz
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
        """Videos and saved detections, which show everybody; one person cannot be removed from them."""
        return sorted([*self.path.glob("detections/*.parquet"), *self.path.glob("*.mp4")])

    def rows(self, path: Path) -> Iterator[list[str]]:
        """Yield the rows of a CSV file as texts, in the order of the columns, without an incomplete last line. Yield
        nothing if retention has deleted the file meanwhile.

        Raises:
            InputError: the file has other columns.
        """
        return _rows(path, COLUMNS)

    def remaps(self) -> list[dict[str, str]]:
        """Return the rows of remap.csv; none without the file."""
        path = self.path / REMAP_NAME
        if not path.exists():
            return []
        return [dict(zip(REMAP_COLUMNS, row, strict=True)) for row in _rows(path, REMAP_COLUMNS)]

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
            before = held.enter_context(path.open("rb")) if path.exists() else None
            yield
            if before is not None and not (
                path.exists() and os.path.samestat(os.fstat(before.fileno()), path.stat())
            ):
                raise InputError(
                    f"{path} was rewritten while it was read, so ids mean other people now: look up the person's id "
                    "again"
                )


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[list[str]]:
    file = _opened(path)
    if file is None:
        return
    with file:
        # An incomplete last line is left out: it is being written, or the run was killed while writing it.
        reader = csv.reader(whole_lines(file))
        header = next(reader, [])
        if tuple(header) != columns:
            raise InputError(f"{path}: its columns are {','.join(header) or 'none'}, not those of a run")
        for row in reader:
            if len(row) != len(columns):
                raise InputError(f"{path}, line {reader.line_num}: {len(row)} columns instead of {len(columns)}")
            yield row


def _opened(path: Path) -> TextIO | None:
    """Open a file that was listed before, also if its suffix `.part` was removed since; None if it was deleted."""
    names = [path, path.with_suffix("")] if path.suffix == ".part" else [path]
    for name in names:
        try:
            return name.open(newline="", encoding="utf-8")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(f"{name}: cannot be read ({error.strerror})") from error
    return None


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
