"""The rows of a run as it wrote them, line by line, and the same rows after corrections.

Lines are changed as texts, so a row that no step concerns keeps its bytes.
"""

from __future__ import annotations

import csv
import io
import stat
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from pipeline.core.datatypes import Link, LinkedRow
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.files.readable_rows import row_of
from pipeline.files.results_csv import COLUMNS
from pipeline.files.whole_files import replacing
from pipeline.review.identities import OriginalTrack, Part

# The columns after link_confidence, which hold no text that could be quoted.
_AFTER_CLASS = len(COLUMNS) - COLUMNS.index("link_confidence")


class Line(NamedTuple):
    """A row as it stands in the files.

    Attributes:
        number: of its last line in trajectories.csv, from 1.
        text: its line of trajectories.csv, or its lines if a class name has line breaks.
        mot: its line of the MOT text; None if the camera has none.
        track: the camera, and its track id.
    """

    number: int
    text: str
    mot: str | None
    track: TrackKey


@dataclass
class _Track:
    class_name: str
    link: Link
    frame_index: array[int] = field(default_factory=lambda: array("q"))
    time_s: array[float] = field(default_factory=lambda: array("d"))
    observed: array[int] = field(default_factory=lambda: array("b"))


@dataclass(frozen=True)
class OriginalRows:
    """Files of one run with the same rows.

    Attributes:
        csv_path: a trajectories.csv.
        mot_paths: camera -> its MOT text, whose lines are the rows of this camera in the same order.
    """

    csv_path: Path
    mot_paths: Mapping[str, Path]

    def lines(self) -> Iterator[Line]:
        """Yield the rows in the order of the files.

        Raises:
            InputError: a file cannot be read, is incomplete or of another version, or the files have other rows.
        """
        with ExitStack() as opened:
            try:
                file = opened.enter_context(self.csv_path.open(newline="", encoding="utf-8"))
                mot = {
                    camera_id: opened.enter_context(path.open(newline="", encoding="utf-8"))
                    for camera_id, path in self.mot_paths.items()
                }
                yield from self._lines(file, mot)
                for camera_id, text in mot.items():
                    if next(text, None) is not None:
                        raise InputError(self._differs(camera_id))
            except OSError as error:
                raise InputError(f"{error.filename} cannot be read ({error.strerror})") from error
            except UnicodeDecodeError as error:
                raise InputError(f"{self.csv_path} or its MOT text is no UTF-8 ({error})") from error

    def _lines(self, file: IO[str], mot: Mapping[str, IO[str]]) -> Iterator[Line]:
        records = self._records(file)
        _, header = next(records, (0, ""))
        if header.rstrip("\r\n") != ",".join(COLUMNS):
            raise InputError(
                f"{self.csv_path} has other columns than this version of the program writes: {shown(header)}"
            )
        for number, text in records:
            try:
                global_id, camera_id, track_id, frame_index, _ = text.split(",", 4)
                track = camera_id, int(track_id)
                expected = [str(int(frame_index) + 1), global_id]
            except ValueError as error:
                raise self._damaged(number, error) from error
            line = next(mot[camera_id], "") if camera_id in mot else None
            if line is not None and line.split(",", 2)[:2] != expected:
                raise InputError(self._differs(camera_id))
            yield Line(number, text, line, track)

    def _records(self, file: IO[str]) -> Iterator[tuple[int, str]]:
        """Yield the number of the last line of each record, and its text; a quoted field may contain line breaks."""
        waiting = ""
        number = 0
        for number, text in enumerate(file, 1):
            if not text.endswith("\n"):
                raise InputError(
                    f"{self.csv_path} was cut off while it was written: `mtmc link --overwrite` repairs the run"
                )
            waiting += text
            if waiting.count('"') % 2 == 0:
                yield number, waiting
                waiting = ""
        if waiting:
            raise self._damaged(number, "a quote has no end")

    def _row(self, line: Line) -> LinkedRow:
        try:
            if '"' in line.text:
                (fields,) = csv.reader(io.StringIO(line.text, newline=""), strict=True)
            else:
                fields = line.text.rstrip("\r\n").split(",")
            linked = row_of(fields)
            if (linked.row.camera_id, linked.row.track_id) != line.track:
                raise ValueError("an id is in quotes")
        except (ValueError, csv.Error) as error:
            raise self._damaged(line.number, error) from error
        return linked

    def _damaged(self, number: int, problem: object) -> InputError:
        return InputError(f"{self.csv_path}, line {number}: it is damaged ({problem})")

    def _differs(self, camera_id: str) -> str:
        return (
            f"{self.mot_paths[camera_id]} has other rows than {self.csv_path}: delete it, or restore both files of the "
            "run"
        )

    def header(self) -> str:
        """Return the first line of the CSV file."""
        with self.csv_path.open(newline="", encoding="utf-8") as file:
            return file.readline()

    def tracks(self) -> dict[TrackKey, OriginalTrack]:
        """Read the rows completely, 17 bytes of memory for each.

        Raises:
            InputError: see `lines`; or a track has several ids, or a frame twice.
        """
        found: dict[TrackKey, _Track] = {}
        for line in self.lines():
            linked = self._row(line)
            row, link = linked.row, linked.link
            key = (row.camera_id, row.track_id)
            track = found.setdefault(key, _Track(row.class_name, link))
            if link.global_id != track.link.global_id:
                raise InputError(
                    f"track {key[0]}:{key[1]} has the ids {track.link.global_id} and {link.global_id}, which are not "
                    "final: `mtmc link --overwrite` gives final ids"
                )
            if track.frame_index and row.frame_index <= track.frame_index[-1]:
                raise InputError(
                    f"track {key[0]}:{key[1]} has frame {row.frame_index} after frame {track.frame_index[-1]} in "
                    f"{self.csv_path}: correct the rows"
                )
            track.frame_index.append(row.frame_index)
            track.time_s.append(row.time_s)
            track.observed.append(not row.interpolated)
        return {
            key: OriginalTrack(
                track.class_name,
                track.link,
                np.array(track.frame_index, np.int64),
                np.array(track.time_s, np.float64),
                np.array(track.observed, np.bool_),
            )
            for key, track in found.items()
        }


def write_corrected(
    original: OriginalRows, parts: Mapping[TrackKey, Part], csv_path: Path, mot_folder: Path
) -> int:
    """Write the rows after corrections; each file is replaced atomically, trajectories.csv last.

    Args:
        parts: by (camera, track id), as in `Identities`.

    Rows that a person gave to somebody have link confidence 1 and a final link; rows of deleted tracks are left out.

    Returns:
        The number of rows.

    Raises:
        InputError, OSError: the original cannot be read, or the new files cannot be written, and stay as they were.
    """
    of_origin: dict[TrackKey, list[tuple[TrackKey, Part]]] = defaultdict(list)
    for key, part in sorted(parts.items(), key=lambda one: one[1].begin):
        of_origin[part.origin].append((key, part))
    # The parts of each track that are not complete yet, the next one last, and the number of its rows so far.
    for one in of_origin.values():
        one.reverse()
    seen: dict[TrackKey, int] = dict.fromkeys(of_origin, 0)
    rows = 0
    # Nobody may read the new files who could not read the old ones.
    mode = stat.S_IMODE(original.csv_path.stat().st_mode)
    with ExitStack() as opened:
        # Left in reverse order: the CSV file is replaced after the MOT texts.
        part_csv = opened.enter_context(replacing(csv_path, mode=mode))
        file = opened.enter_context(part_csv.open("w", newline="", encoding="utf-8"))
        mot = {}
        for camera_id in original.mot_paths:
            part_mot = opened.enter_context(replacing(mot_folder / f"{camera_id}.txt", mode=mode))
            mot[camera_id] = opened.enter_context(part_mot.open("w", newline="", encoding="utf-8"))
        file.write(original.header())
        for line in original.lines():
            waiting = of_origin[line.track]
            if seen[line.track] == waiting[-1][1].end:
                waiting.pop()
            seen[line.track] += 1
            key, part = waiting[-1]
            if part.global_id is None:
                continue
            rows += 1
            file.write(_corrected(line.text, key, part) if part.moved or key != line.track else line.text)
            if line.mot is not None:
                frame, _, rest = line.mot.split(",", 2)
                mot[key[0]].write(f"{frame},{part.global_id},{rest}")
    return rows


def _corrected(text: str, key: TrackKey, part: Part) -> str:
    """Return a line of trajectories.csv with the ids of another track."""
    _, camera_id, _, rest = text.split(",", 3)
    head, *tail = rest.rsplit(",", _AFTER_CLASS)
    if part.moved:
        tail[:2] = ["1.000", "final"]
    return ",".join((str(part.global_id), camera_id, str(key[1]), head, *tail))
