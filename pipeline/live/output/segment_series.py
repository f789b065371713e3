"""A series of numbered files in a live run's folder: each grows by whole lines until it is old or large enough.

`NAME-0001.csv.part` is being written; its suffix `.part` is removed when the segment or the run ends.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.files.whole_files import FILE_MODE, WholeLines, sync_folder, write_whole
from pipeline.live.host_clock import LiveClock

# Interval between attempts to create a file, so that a disk without free inodes is noticed before a file is needed.
_PROBE_S = 5.0
# Pause after a new segment could not be created.
_ROTATE_AGAIN_S = 1.0

_log = logging.getLogger(__name__)


class SegmentSeries:
    """The segments of one run.

    Methods that write may raise OSError, for example on a full disk. The lines are then not in the file and can be
    passed again.

    Args:
        name: what the names of the files begin with.
        columns: the first line of each file.
        segment_s, segment_max_bytes: age and size at which a segment ends.

    Attributes:
        segment: the open segment.
        lines: number of lines in it, without the columns.
        finished: names of the ended segments.
        problem: why no new file can be created; lines then go on into the open segment.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        columns: Sequence[str],
        clock: LiveClock,
        *,
        segment_s: float,
        segment_max_bytes: int,
    ) -> None:
        self._folder = folder
        self._name = name
        self._columns = columns
        self._clock = clock
        self._segment_s = segment_s
        self._segment_max_bytes = segment_max_bytes
        self._number = 0
        self._began_s = 0.0
        self._probed_s = float("-inf")
        self._rotate_s = float("-inf")  # not before this time
        self.segment: WholeLines | None = None
        self.lines = 0
        self.finished: list[str] = []
        self.problem = ""

    def append(self, lines: Sequence[str]) -> WholeLines:
        """Append whole lines in one write, and return the segment that has them."""
        if self.segment is None:
            self.segment = headed(self._path(self._number + 1, ".csv.part"), self._columns)
            self._number += 1
            self._began_s = self._clock.monotonic_s()
            self._rotate_s = float("-inf")
            self.lines = 0
        self.segment.append("".join(lines))
        self.lines += len(lines)
        return self.segment

    @property
    def is_due(self) -> bool:
        """Whether the open segment is old or large enough to end, and a new one can be created."""
        if self.segment is None:
            return False
        now_s = self._clock.monotonic_s()
        over = now_s - self._began_s >= self._segment_s or self.segment.bytes >= self._segment_max_bytes
        if not over or now_s < self._rotate_s:
            return False
        if self._probe():
            return True
        self._rotate_s = now_s + _ROTATE_AGAIN_S
        return False

    def probe_if_due(self) -> None:
        """Find out from time to time whether the folder takes a new file."""
        if self._clock.monotonic_s() - self._probed_s >= _PROBE_S:
            self._probe()

    def _probe(self) -> bool:
        """Return whether the folder takes a new file; without a free inode, for example, it does not."""
        self._probed_s = self._clock.monotonic_s()
        attempt = self._path(self._number, ".csv.part.part")
        problem = ""
        try:
            os.close(os.open(attempt, os.O_WRONLY | os.O_CREAT, FILE_MODE))
            attempt.unlink()
        except OSError as error:
            problem = f"no new file can be created ({error.strerror or error})"
            if problem != self.problem:
                _log.error("%s: %s; rows go on into the open file, if there is one", self._folder, problem)
        if self.problem and not problem:
            _log.warning("%s: new files can be created again", self._folder)
        self.problem = problem
        return not problem

    def end(self) -> None:
        """End the open segment; can be called again after an error, which can occur at any step."""
        segment, final = self.segment, self._path(self._number, ".csv")
        if segment is None:
            return
        if segment.path != final:
            segment.sync()
            os.replace(segment.path, final)
            segment.path = final
        sync_folder(self._folder)
        self.segment = None
        self.finished.append(final.name)
        segment.close()

    def leave(self) -> int:
        """Leave a segment that was deleted or moved, so that the next lines begin a new one.

        Returns:
            Number of lines that were deleted with it.
        """
        segment = self.segment
        if segment is None:
            return 0
        deleted = self.lines if segment.deleted else 0
        _log.error(
            "%s was %s during the run, with %d lines; further lines go into a new file",
            segment.path,
            "deleted" if segment.deleted else "moved",
            self.lines,
        )
        self.segment = None
        segment.close()
        return deleted

    def _path(self, number: int, suffix: str) -> Path:
        return self._folder / f"{self._name}-{number:04}{suffix}"


def headed(path: Path, columns: Sequence[str]) -> WholeLines:
    """Return a file for appending that starts with the names of its columns; a new file never exists without them."""
    if not path.exists() or not path.stat().st_size:
        write_whole(path, (",".join(columns) + "\n").encode())
    return WholeLines(path)
