"""The files of a live run with events at zones and lines: numbered segments, as those with rows.

`events-RUN-0001.csv.part` is being written; its suffix `.part` is removed when the segment or the run ends.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.counting.events import Event
from pipeline.counting.events_file import COLUMNS, event_line
from pipeline.files.regular_file import waits
from pipeline.files.whole_files import WholeLines, sync_folder
from pipeline.live.host_clock import LiveClock
from pipeline.live.output.segments import EPOCH_UTC, headed, sorting_key

_SEGMENT = re.compile(r"events-(?P<run>.+)-\d{4,}\.csv(\.part)?", re.DOTALL)
_log = logging.getLogger(__name__)


def live_event_line(event: Event) -> str:
    """Return an event as a line of a segment, with its line end."""
    return event_line(event, EPOCH_UTC)


def event_segments(folder: Path) -> list[Path]:
    """Return the segments with events of all runs in a folder, including the one being written, oldest first."""
    found = [*folder.glob("events-*.csv.part"), *folder.glob("events-*.csv")]
    found = [path for path in found if _SEGMENT.fullmatch(path.name) and not path.is_dir() and not waits(path)]
    return sorted({path.name.removesuffix(".part"): path for path in found}.values(), key=sorting_key)


def event_run_of(path: Path) -> str:
    """Return the run id in the name of a segment; '' for another file."""
    match = _SEGMENT.fullmatch(path.name)
    return "" if match is None else match["run"]


class EventSegments:
    """Appends events to the newest segment.

    Every method may raise OSError, for example on a full disk. The lines are then not in the file and can be passed
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
        self._run_id = run_id
        self._clock = clock
        self._segment_s = segment_s
        self._segment_max_bytes = segment_max_bytes
        self._fsync_interval_s = fsync_interval_s
        self._segment: WholeLines | None = None
        self._began_s = 0.0
        self._number = 0
        self._unsynced = False
        self._synced_s = clock.monotonic_s()
        self.finished: list[str] = []

    def write(self, lines: Sequence[str]) -> None:
        """Append whole lines in one write."""
        self.keep_up()
        if self._segment is not None and not self._segment.in_place:
            _log.error("%s was deleted or moved during the run; a new file is begun", self._segment.path)
            self._segment.close()
            self._segment = None
        if self._segment is None:
            self._segment = headed(self._path(self._number + 1, ".csv.part"), COLUMNS)
            self._number += 1
            self._began_s = self._clock.monotonic_s()
        self._segment.append("".join(lines))
        self._unsynced = True

    def keep_up(self) -> None:
        """Force events to the disk and end the segment, each if it is due; call it also without new events."""
        if self._segment is None:
            return
        now_s = self._clock.monotonic_s()
        if self._unsynced and now_s - self._synced_s >= self._fsync_interval_s:
            self._segment.sync()
            self._unsynced, self._synced_s = False, now_s
        if now_s - self._began_s >= self._segment_s or self._segment.bytes >= self._segment_max_bytes:
            self.close()

    def close(self) -> None:
        """End the segment, under its final name; can be called again after an error."""
        segment, final = self._segment, self._path(self._number, ".csv")
        if segment is None:
            return
        if segment.path != final and segment.in_place:
            segment.sync()
            os.replace(segment.path, final)
            segment.path = final
        sync_folder(self._folder)
        self._segment, self._unsynced = None, False
        self.finished.append(final.name)
        segment.close()

    def _path(self, number: int, suffix: str) -> Path:
        return self._folder / f"events-{self._run_id}-{number:04}{suffix}"
