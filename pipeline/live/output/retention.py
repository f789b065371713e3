"""Deletes old segments of a live run's output while it runs."""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.config.output_settings import RetentionSettings
from pipeline.counting.events_file import COLUMNS as EVENT_COLUMNS
from pipeline.counting.events_file import readable_events
from pipeline.files.regular_file import open_regular
from pipeline.files.results_csv import COLUMNS
from pipeline.files.run_folder import EVENTS_NAME
from pipeline.files.set_aside import files_put_aside
from pipeline.files.whole_files import write_whole
from pipeline.live.host_clock import PLAUSIBLE_S
from pipeline.live.output.event_segments import event_run_of, event_segments
from pipeline.live.output.segments import REMAP_COLUMNS, REMAP_NAME, segments

_DAY_S = 86_400.0
# The year 5138: later times cannot be converted to dates everywhere, and only damage gives them.
_LATEST_S = 1e11
# Enough for the last row: a row has a few hundred bytes.
_TAIL_BYTES = 1 << 14
# Corrections are deleted only when some are too old by this much, so that remap.csv is not rewritten at every check.
_REMAP_SLACK = timedelta(hours=1)
# Rows are in order of time except for the delays of the cameras, so the first one may not be the oldest.
_DISORDER = timedelta(minutes=1)

_log = logging.getLogger(__name__)


class Retention:
    """Deletes finished segments, the oldest first; never the one that is being written.

    Args:
        run_id: of the current run, whose manifest stays.
        now_s: returns Unix seconds.
    """

    def __init__(self, folder: Path, run_id: str, settings: RetentionSettings, now_s: Callable[[], float]) -> None:
        self._folder = folder
        self._run_id = run_id
        self._settings = settings
        self._now_s = now_s
        self._told_full = False

    def enforce(self) -> None:
        """Delete what is too old or above the quota; raises OSError if that is impossible."""
        of_rows, of_events = segments(self._folder), event_segments(self._folder)
        finished = [path for path in (*of_rows, *of_events) if path.suffix == ".csv"]
        if self._settings.max_age_days is not None:
            oldest_s = self._now_s() - self._settings.max_age_days * _DAY_S
            for path in list(finished):
                if self._age_from_s(path) < oldest_s:
                    self._delete(path, f"is older than {self._settings.max_age_days:g} days")
                    finished.remove(path)
            self._delete_counted(oldest_s)
        self._keep_quota(finished)
        self._delete_files_put_aside()
        self._delete_lone_manifests()

    def prune_remaps(self) -> None:
        """Delete corrections that are older than the retention time and than all remaining rows; remap.csv must not be
        open meanwhile."""
        path = self._folder / REMAP_NAME
        if self._settings.max_age_days is None or not path.is_file():
            return
        oldest = _utc(self._now_s() - self._settings.max_age_days * _DAY_S)
        if _first_correction(path) > oldest - _REMAP_SLACK:
            return
        # A segment is deleted with its last row; until then, its first rows still need their corrections.
        first_s = min(map(first_row_s, segments(self._folder)), default=math.inf)
        if first_s < oldest.timestamp():
            oldest = _utc(max(first_s, _DISORDER.total_seconds())) - _DISORDER
            if _first_correction(path) > oldest - _REMAP_SLACK:
                return
        # Damaged lines stay as they are.
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True)
        column = REMAP_COLUMNS.index("utc")
        left = [line for line in lines[1:] if _moment(line.split(",")[column], otherwise=oldest) >= oldest]
        if len(left) < len(lines) - 1:
            write_whole(path, "".join([*lines[:1], *left]).encode(errors="surrogateescape"))

    def _age_from_s(self, path: Path) -> float:
        """Return the time from which the age of a segment counts, Unix seconds: its last row. A row from a clock that
        was wrong, before 2020 or in the future, says nothing; the age then counts from the time of the file, or from
        now if that is wrong, too."""
        now_s = self._now_s()
        last_s = last_row_s(path)
        same_clock = now_s < PLAUSIBLE_S and last_s <= now_s  # this machine does not know the time now either
        if same_clock or _is_plausible(last_s, now_s):
            return last_s
        written_s = path.stat().st_mtime
        if not _is_plausible(written_s, now_s):
            if now_s < PLAUSIBLE_S:
                return now_s
            os.utime(path, (now_s, now_s))
            _log.warning(
                "%s: its rows end at %s, which was a wrong clock; its retention time counts from now",
                path,
                _text(last_s),
            )
            written_s = now_s
        return written_s

    def _delete_counted(self, oldest_s: float) -> None:
        """Delete the events.csv of `mtmc count` once its first event is too old: it covers all segments of its time."""
        path = self._folder / EVENTS_NAME
        if path.is_file() and _first_event_s(path) < oldest_s:
            self._delete(path, "holds events that are too old; `mtmc count` writes it again")

    def _keep_quota(self, finished: list[Path]) -> None:
        limit = self._settings.max_bytes
        if limit is None:
            return
        # Only segments count: if other files grow here, such as rows.jsonl, deleting rows would not help.
        segments_bytes = sum(map(_bytes, (*segments(self._folder), *event_segments(self._folder))))
        while segments_bytes > limit and finished:
            path = finished.pop(0)
            segments_bytes -= _bytes(path)
            self._delete(path, f"the segments are above their quota of {limit} bytes")
        sizes = {path: _bytes(path) for path in self._folder.rglob("*")}
        total = sum(sizes.values())
        if total > limit and not self._told_full:
            others = {path: size for path, size in sizes.items() if not path.name.startswith(("traj-", "events-"))}
            largest = max(others, key=others.__getitem__, default=self._folder)
            _log.warning(
                "%s has %d bytes, more than its quota of %d. Only segments of rows are deleted, which have %d bytes; "
                "the largest other file is %s. Rotate it (logrotate), shorten live.segment_s, or raise "
                "live.retention.max_bytes",
                self._folder,
                total,
                limit,
                segments_bytes,
                largest.name,
            )
        self._told_full = total > limit

    def _delete_files_put_aside(self) -> None:
        """Delete files that were set aside and are too old: people in them were last seen when the file was written,
        or earlier."""
        if self._settings.max_age_days is None:
            return
        oldest_s = self._now_s() - self._settings.max_age_days * _DAY_S
        for path in files_put_aside(self._folder):
            if path.stat().st_mtime < oldest_s:
                self._delete(path, f"is older than {self._settings.max_age_days:g} days")

    def _delete_lone_manifests(self) -> None:
        """Delete old manifests of runs whose segments are all deleted."""
        if self._settings.max_age_days is None:
            return
        oldest_s = self._now_s() - self._settings.max_age_days * _DAY_S
        for path in filter(Path.is_file, self._folder.glob("manifest-*.json")):
            run_id = path.stem.removeprefix("manifest-")
            lone = not any(path for kind in ("traj", "events") for path in self._folder.glob(f"{kind}-{run_id}-*"))
            if lone and run_id != self._run_id and path.stat().st_mtime < oldest_s:
                self._delete(path, "all its segments are deleted")

    def _delete(self, path: Path, why: str) -> None:
        path.unlink()
        _log.warning("%s was deleted: %s", path, why)


def _is_plausible(time_s: float, now_s: float) -> bool:
    return PLAUSIBLE_S <= time_s <= now_s + _DAY_S


def _text(time_s: float) -> str:
    """Return a time in UTC, or the number if it is no time of this calendar."""
    try:
        return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return f"{time_s:g} s"


def _bytes(path: Path) -> int:
    """Return the size of a file; 0 for a folder, and for a file that was renamed or deleted meanwhile."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _first_correction(path: Path) -> datetime:
    """Return the time of the first correction, which is the oldest. It is the latest possible time if there is none,
    and the earliest possible if the line is damaged."""
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = list(itertools.islice(file, 2))
    if len(lines) < 2:
        return datetime.max.replace(tzinfo=UTC)
    return _moment(lines[1].split(",")[REMAP_COLUMNS.index("utc")], otherwise=datetime.min.replace(tzinfo=UTC))


def _moment(text: str, *, otherwise: datetime) -> datetime:
    """Return a time in UTC; `otherwise` for a damaged line, which must not be deleted."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return otherwise if moment.tzinfo is None else moment


def _utc(time_s: float) -> datetime:
    """Return a time in Unix seconds as a date; one before 1970 or after 5138, which only damage gives, is cut there."""
    return datetime.fromtimestamp(min(max(time_s, 0.0), _LATEST_S), UTC)


def first_row_s(path: Path) -> float:
    """Return the time of the first row of a segment in Unix seconds. It is +inf without a row or a file, and 0 for a
    damaged row, which may be of any time."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = list(itertools.islice(file, 2))
    except FileNotFoundError:
        return math.inf
    if len(lines) < 2:
        return math.inf
    try:
        first_s = float(lines[1].split(",")[COLUMNS.index("time_s")])
    except (IndexError, ValueError):
        return 0.0
    return first_s if 0 <= first_s <= _LATEST_S else 0.0


def _first_event_s(path: Path) -> float:
    """Return the time of the first event of events.csv in Unix seconds; +inf without an event that can be read."""
    fields = next(iter(readable_events(path)), None)
    return math.inf if fields is None else float(fields[EVENT_COLUMNS.index("time_s")])


def last_row_s(path: Path) -> float:
    """Return the time of the last row of a segment, Unix seconds; the time of the last write if there is no row, or if
    it is damaged."""
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    last = lines[-1].split(",") if lines else []
    columns = EVENT_COLUMNS if event_run_of(path) else COLUMNS
    try:
        last_s = float(last[columns.index("time_s")])
    except (IndexError, ValueError):
        return path.stat().st_mtime
    return last_s if 0 <= last_s <= _LATEST_S else path.stat().st_mtime
