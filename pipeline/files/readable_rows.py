"""Reads what can be read of the CSV files of a run, line by line: a damaged line costs no other line.

Disks, power failures and people damage files. Programs that continue a run or delete a person's data must cope with
that, unlike programs that compute results, which stop at the first wrong line (`results_csv.read_trajectories`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pipeline.core.datatypes import LinkedRow
from pipeline.core.errors import InputError
from pipeline.files.regular_file import open_regular
from pipeline.files.results_csv import COLUMNS, linked_row
from pipeline.files.track_boxes import LARGEST_NUMBER

# Ids above this one are no ids of a run but damage.
LARGEST_ID = LARGEST_NUMBER
# Times in seconds beyond this one, the year 5138, cannot be written as dates everywhere.
_LATEST_S = 1e11
# A class name in quotes may contain line breaks; a longer row than this is a stray quote.
_LINES_OF_A_ROW = 4


def row_of(fields: Sequence[str]) -> LinkedRow:
    """Return a line of trajectories.csv or of a segment, whose columns are `COLUMNS`, as a row.

    Raises:
        ValueError: no run writes such a line.
    """
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} columns instead of {len(COLUMNS)}")
    text = dict(zip(COLUMNS, fields, strict=True))
    linked = linked_row(text, needs_time=True)
    row = linked.row
    if min(linked.link.global_id, row.track_id, row.frame_index) < 0 or abs(row.time_s) > _LATEST_S:
        raise ValueError("an id, the frame or the time is out of range")
    if not row.camera_id or not row.camera_id.isprintable():
        raise ValueError("the camera has no name")
    if text["link_state"] not in ("provisional", "final") or text["interpolated"] not in ("0", "1"):
        raise ValueError("the last columns are damaged")
    if bool(text["world_x_m"]) != bool(text["world_y_m"]):
        raise ValueError("a floor position has one coordinate")
    if text["utc"] and datetime.fromisoformat(text["utc"]).tzinfo is None:
        raise ValueError("the date has no time zone")
    return linked


class ReadableRows:
    """Iterates over the rows of a CSV file that can be read, as texts in the order of `columns`.

    An incomplete last line is left out: it is being written, or its writer was killed. A missing file has no rows.

    Args:
        check: raises ValueError for a damaged row.

    Attributes, about the last iteration:
        damaged: numbers of the lines, from 1, that cannot be read, including a damaged header.
        headed: whether the first line holds the names of the columns.
        rows: number of rows.
        torn: whether the last line is incomplete.
        problem: why the file cannot be read any further; "" if it can.

    Raises:
        InputError: while iterating: the header has other columns, so the file is not damaged, but of another program or
            another version.
    """

    def __init__(
        self, path: Path, columns: Sequence[str] = COLUMNS, check: Callable[[list[str]], object] = row_of
    ) -> None:
        self.path = path
        self._columns = list(columns)
        self._check = check
        self._reset()

    def _reset(self) -> None:
        self.damaged: list[int] = []
        self.headed = False
        self.rows = 0
        self.torn = False
        self.problem = ""

    def __iter__(self) -> Iterator[list[str]]:
        self._reset()
        try:
            file = self._opened()
            if file is None:
                return
            with file:
                yield from self._read(file)
        except OSError as error:
            self.problem = error.strerror or str(error)

    @property
    def needs_repair(self) -> bool:
        """Whether anything but an incomplete last line is wrong with the file."""
        return bool(self.damaged or self.problem or (self.rows and not self.headed))

    @property
    def hopeless(self) -> bool:
        """Whether the file cannot be read to its end, or has content but neither a row nor a good header."""
        return bool(self.problem) or (self.rows == 0 and 1 in self.damaged)

    def _opened(self) -> BinaryIO | None:
        """Open the file, also if its suffix `.part` was removed since it was listed; None if it was deleted."""
        names = [self.path, self.path.with_suffix("")] if self.path.suffix == ".part" else [self.path]
        for name in names:
            with suppress(FileNotFoundError):
                return open_regular(name)
        return None

    def _read(self, file: BinaryIO) -> Iterator[list[str]]:
        waiting: list[tuple[int, bytes]] = []
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                self.torn = True
                break
            if number == 1 and self._is_header(line):
                self.headed = True
                continue
            waiting.append((number, line))
            row = self._row(b"".join(line for _, line in waiting))
            if row is None and len(waiting) > 1:
                # The lines before were no beginning of this row.
                row = self._row(line)
                if row is not None:
                    self.damaged += [one for one, _ in waiting[:-1]]
            if row is not None:
                waiting = []
                self.rows += 1
                yield row
            elif len(waiting) == _LINES_OF_A_ROW or waiting[0][1].count(b'"') % 2 == 0:
                self.damaged += [one for one, _ in waiting]
                waiting = []
        self.damaged += [one for one, _ in waiting]

    def _is_header(self, line: bytes) -> bool:
        names = line.decode("utf-8", "replace").removeprefix("\ufeff").strip().split(",")
        if names == self._columns:
            return True
        known = set(names) & set(self._columns)
        # Another order, or another number of columns of which most are known.
        if len(known) == len(self._columns) or (len(names) != len(self._columns) and len(known) > len(names) // 2):
            raise InputError(f"{self.path}: its columns are {','.join(names)}, not those of a run")
        return False

    def _row(self, line: bytes) -> list[str] | None:
        try:
            (row,) = csv.reader(io.StringIO(line.decode("utf-8"), newline=""), strict=True)
            self._check(row)
        except (ValueError, OverflowError, csv.Error):
            return None
        return row
