"""The CSV files of a live run: numbered segments, each complete up to its last line at any time.

`traj-RUN-0001.csv.part` is being written; its suffix `.part` is removed when the segment or the run ends.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.files.readable_rows import LARGEST_ID, ReadableRows
from pipeline.files.regular_file import waits
from pipeline.files.results_csv import COLUMNS, csv_line
from pipeline.files.track_boxes import is_number
from pipeline.files.whole_files import FOLDER_MODE, WholeLines
from pipeline.live.host_clock import LiveClock
from pipeline.live.output.segment_series import SegmentSeries, headed

REMAP_COLUMNS = ("utc", "run_id", "camera_id", "track_id", "provisional_id", "global_id", "link_confidence")
REMAP_NAME = "remap.csv"
_SEGMENT = re.compile(r"traj-.+-\d{4,}\.csv(\.part)?", re.DOTALL)
_SEGMENT_OF_A_RUN = re.compile(r"traj-\d{8}T\d{6}Z-[0-9a-f]{4}-\d{4,}\.csv(\.part)?")
# Times of a live run are Unix seconds.
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
# Interval between checks whether the files are still in their folder.
_CHECK_S = 1.0

_log = logging.getLogger(__name__)


def row_line(linked: LinkedRow) -> str:
    """Return a row as a line of the CSV, with its line end."""
    return csv_line(linked, EPOCH_UTC) + "\n"


def remap_line(correction: Correction, run_id: str) -> str:
    """Return a correction as a line of remap.csv, with its line end; `run_id` is that of the writing run."""
    moment = datetime.fromtimestamp(round(correction.time_s, 3), UTC)
    utc = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        f"{utc},{correction.run_id or run_id},{correction.camera_id},{correction.track_id},{correction.provisional_id},"
        f"{correction.global_id},{correction.confidence:.3f}\n"
    )


class SegmentWriter:
    """Appends rows to the newest segment, and corrections to remap.csv.

    Every method may raise OSError, for example on a full disk. The lines are then not in the files and can be passed
    again.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        clock: LiveClock,
        *,
        segment_s: float,
        segment_max_bytes: int,
        fsync_interval_s: float,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._fsync_interval_s = fsync_interval_s
        self._rows = SegmentSeries(
            folder, f"traj-{run_id}", COLUMNS, clock, segment_s=segment_s, segment_max_bytes=segment_max_bytes
        )
        self._remap: WholeLines | None = None
        self._checked_s = float("-inf")
        self._unsynced: set[WholeLines] = set()
        self._synced_s = clock.monotonic_s()

    @property
    def finished(self) -> list[str]:
        """Names of the ended segments."""
        return self._rows.finished

    @property
    def problem(self) -> str:
        """Why no new file can be created; rows then go on into the open segment."""
        return self._rows.problem

    @property
    def since_sync_s(self) -> float:
        """Seconds since all written lines were last forced to the disk."""
        return self._clock.monotonic_s() - self._synced_s

    def write_rows(self, lines: Sequence[str]) -> None:
        """Append whole lines in one write."""
        self._rotate_if_due()
        self._unsynced.add(self._rows.append(lines))

    def write_remaps(self, lines: Sequence[str]) -> None:
        """Append whole lines of corrections in one write."""
        if self._remap is None:
            self._remap = headed(self._folder / REMAP_NAME, REMAP_COLUMNS)
        self._remap.append("".join(lines))
        self._unsynced.add(self._remap)

    def keep_up(self) -> None:
        """Force rows to the disk and end the segment, each if it is due; call it also without new rows."""
        if self.since_sync_s >= self._fsync_interval_s:
            self._sync()
        self._rotate_if_due()

    def check_in_place(self) -> int:
        """Create the folder again if it was removed or moved during the run, and leave files that are no longer in it,
        so that new ones are begun.

        Returns:
            Number of rows that were deleted with their file.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._checked_s < _CHECK_S:
            return 0
        self._checked_s = now_s
        deleted = 0
        if self._rows.segment is not None and not self._rows.segment.in_place:
            self._unsynced.discard(self._rows.segment)
            deleted = self._rows.leave()
        if self._remap is not None and not self._remap.in_place:
            _log.error("%s was deleted or moved during the run; a new file is begun", self._remap.path)
            self._unsynced.discard(self._remap)
            self._remap.close()
            self._remap = None
        if not self._folder.is_dir():
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            _log.error("the output folder %s was missing; it was created again", self._folder)
        self._rows.probe_if_due()
        return deleted

    def close(self) -> None:
        """Force everything to the disk, under its final name."""
        self._end_segment()
        self._sync()
        self.release_remap()

    def release_remap(self) -> None:
        """Close remap.csv, so that it can be replaced; it is opened again when there is something to write."""
        if self._remap is not None:
            if self._remap in self._unsynced:
                self._remap.sync()
                self._unsynced.discard(self._remap)
            self._remap.close()
            self._remap = None

    def _rotate_if_due(self) -> None:
        if self._rows.is_due:
            self._end_segment()

    def _end_segment(self) -> None:
        segment = self._rows.segment
        try:
            self._rows.end()
        finally:
            if segment is not None and self._rows.segment is not segment:
                self._unsynced.discard(segment)

    def _sync(self) -> None:
        for file in list(self._unsynced):
            file.sync()
            self._unsynced.discard(file)
        self._synced_s = self._clock.monotonic_s()


def append_remaps(folder: Path, corrections: Sequence[Correction]) -> None:
    """Add corrections of earlier runs to remap.csv, and force them to the disk; after an OSError none is added."""
    file = headed(folder / REMAP_NAME, REMAP_COLUMNS)
    try:
        file.append("".join(remap_line(correction, "") for correction in corrections))
        file.sync()
    finally:
        file.close()


def run_id_of(segment: Path) -> str:
    """Return the run id in the name of a segment."""
    return segment.name.removeprefix("traj-").partition(".")[0].rpartition("-")[0]


def segments(folder: Path) -> list[Path]:
    """Return all segments of all runs in a folder, including the one being written, oldest first. Files with other
    names, such as traj-notes.csv, are not segments."""
    # In this order, so that a segment that is renamed meanwhile is found at least once; its final name counts.
    found = [*folder.glob("traj-*.csv.part"), *folder.glob("traj-*.csv")]
    found = [path for path in found if _SEGMENT.fullmatch(path.name) and not path.is_dir() and not waits(path)]
    return sorted({path.name.removesuffix(".part"): path for path in found}.values(), key=sorting_key)


def is_of_a_run(path: Path) -> bool:
    """Return whether the name of a file is one that `mtmc live` gives, and that nobody else would give by chance."""
    return path.name == REMAP_NAME or _SEGMENT_OF_A_RUN.fullmatch(path.name) is not None


def correction_of(fields: Sequence[str]) -> Correction:
    """Return a line of remap.csv as a correction; ValueError if no run writes such a line."""
    if len(fields) != len(REMAP_COLUMNS):
        raise ValueError(f"{len(fields)} columns instead of {len(REMAP_COLUMNS)}")
    text = dict(zip(REMAP_COLUMNS, fields, strict=True))
    moment = datetime.fromisoformat(text["utc"])
    provisional_id, global_id = int(text["provisional_id"]), int(text["global_id"])
    if moment.tzinfo is None or not is_number(text["link_confidence"], float):
        raise ValueError("the date has no time zone, or the confidence is no number")
    if not (0 <= provisional_id <= LARGEST_ID and 0 <= global_id <= LARGEST_ID):
        raise ValueError("an id is out of range")
    return Correction(
        time_s=moment.timestamp(),
        camera_id=text["camera_id"],
        track_id=int(text["track_id"]),
        provisional_id=provisional_id,
        global_id=global_id,
        confidence=float(text["link_confidence"]),
        run_id=text["run_id"],
    )


def corrections(folder: Path) -> ReadableRows:
    """Return the rows of remap.csv that can be read; none without the file."""
    return ReadableRows(folder / REMAP_NAME, REMAP_COLUMNS, correction_of)


def current_id(global_id: int, leads_to: Mapping[int, int]) -> int:
    """Return the id at the end of a chain of corrections.

    Args:
        leads_to: provisional id -> corrected id; equal ids confirm.
    """
    seen: set[int] = set()
    while global_id in leads_to and global_id not in seen:
        seen.add(global_id)
        global_id = leads_to[global_id]
    return global_id


def sorting_key(segment: Path) -> tuple[str, int, str]:
    """Return a sorting key, by which number 10000 comes after 9999."""
    number = segment.name.partition(".")[0].rpartition("-")[2]
    return run_id_of(segment), int(number) if number.isdecimal() else 0, segment.name
