"""The files of a live run with events at zones and lines: numbered segments, as those with rows.

`events-RUN-0001.csv.part` is being written; its suffix `.part` is removed when the segment or the run ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.counting.events import Event
from pipeline.counting.events_file import COLUMNS, event_line
from pipeline.files.regular_file import waits
from pipeline.live.host_clock import LiveClock
from pipeline.live.output.segment_series import SegmentSeries
from pipeline.live.output.segments import EPOCH_UTC, sorting_key

_SEGMENT = re.compile(r"events-(?P<run>.+)-\d{4,}\.csv(\.part)?", re.DOTALL)


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
        self._clock = clock
        self._fsync_interval_s = fsync_interval_s
        self._events = SegmentSeries(
            folder, f"events-{run_id}", COLUMNS, clock, segment_s=segment_s, segment_max_bytes=segment_max_bytes
        )
        self._unsynced = False
        self._synced_s = clock.monotonic_s()

    @property
    def finished(self) -> list[str]:
        """Names of the ended segments."""
        return self._events.finished

    def write(self, lines: Sequence[str]) -> None:
        """Append whole lines in one write."""
        self.keep_up()
        self._leave_missing()
        self._events.append(lines)
        self._unsynced = True

    def keep_up(self) -> None:
        """Force events to the disk and end the segment, each if it is due; call it also without new events."""
        now_s = self._clock.monotonic_s()
        if (
            self._events.segment is not None
            and self._unsynced
            and now_s - self._synced_s >= self._fsync_interval_s
        ):
            self._events.segment.sync()
            self._unsynced, self._synced_s = False, now_s
        if self._events.is_due:
            self.close()

    def close(self) -> None:
        """End the segment, under its final name; can be called again after an error."""
        self._leave_missing()
        self._events.end()

    def _leave_missing(self) -> None:
        segment = self._events.segment
        if segment is not None and not segment.in_place:
            self._events.leave()
