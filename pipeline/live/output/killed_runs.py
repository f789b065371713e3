"""Completes the output of a run that was killed: whole files under their final names, and last corrections.

A run corrects a provisional id as soon as the person is known. A killed run cannot, so the next run in the same folder
writes these corrections. It derives them from the rows: a provisional id becomes the final id of its track. If the
track was still undecided, the correction states that the id stays a separate identity.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.core.errors import InputError
from pipeline.counting.events_file import COLUMNS as EVENT_COLUMNS
from pipeline.counting.events_file import readable_events
from pipeline.files.readable_rows import ReadableRows, row_of
from pipeline.files.results_csv import COLUMNS
from pipeline.files.run_folder import delete_leftovers
from pipeline.files.set_aside import repair_rows, set_aside
from pipeline.files.whole_files import cut_torn_line, sync_folder
from pipeline.live.output.event_segments import event_segments
from pipeline.live.output.segments import (
    REMAP_COLUMNS,
    REMAP_NAME,
    append_remaps,
    correction_of,
    corrections,
    is_of_a_run,
    run_id_of,
    segments,
)

# A track is undecided for seconds only, so its rows are in the last segment or at the end of the one before.
_SEGMENTS = 2

_log = logging.getLogger(__name__)


@dataclass
class _Track:
    """The rows of one track.

    Attributes:
        provisional: the last row of each provisional id.
        final: the last row with a final id.
    """

    provisional: dict[int, LinkedRow] = field(default_factory=dict)
    final: LinkedRow | None = None

    def take(self, linked: LinkedRow) -> None:
        if linked.link.final:
            self.final = linked
        else:
            self.provisional[linked.link.global_id] = linked


def finish_killed_runs(folder: Path) -> list[Correction]:
    """Write last corrections to remap.csv, give segments their final names without an incomplete last line, and delete
    partly written files. Damaged files are set aside, and their readable lines stay.

    Returns:
        The last corrections.

    Raises:
        OSError: for example, the disk is full; the next call does the rest.
    """
    delete_leftovers(folder)
    parts = []
    for part in [path for path in segments(folder) if path.suffix == ".part"]:
        cut_torn_line(part)
        if part.stat().st_size:
            _repair(ReadableRows(part), COLUMNS)
            if part.exists():
                parts.append(part)
        else:
            part.unlink()
    if (folder / REMAP_NAME).is_file():
        cut_torn_line(folder / REMAP_NAME)
        _repair(corrections(folder), REMAP_COLUMNS)
    elif (folder / REMAP_NAME).exists():
        _log.error("%s is no file; it was renamed to %s", folder / REMAP_NAME, set_aside(folder / REMAP_NAME).name)
    _finish_events(folder)
    words = [word for run_id in sorted(set(map(run_id_of, parts))) for word in _last_words(folder, run_id)]
    if words:
        append_remaps(folder, words)
    for part in parts:
        target = part.with_suffix("")
        os.replace(part, target)
        _log.warning("%s was left by a run that was killed; it is complete up to its last line", target)
    sync_folder(folder)
    return words


def _finish_events(folder: Path) -> None:
    """Give segments of events that a killed run left their final names."""
    for part in [path for path in event_segments(folder) if path.suffix == ".part"]:
        cut_torn_line(part)
        rows = readable_events(part)
        for _ in rows:
            pass
        repair_rows(rows, EVENT_COLUMNS, ours=True)
        if part.exists():
            os.replace(part, part.with_suffix(""))


def _last_words(folder: Path, run_id: str) -> list[Correction]:
    """Return a correction for each provisional id that is not in remap.csv and is not the final id of its track."""
    tracks: dict[tuple[str, int], _Track] = {}
    for path in [path for path in segments(folder) if run_id_of(path) == run_id][-_SEGMENTS:]:
        try:
            rows = [row_of(fields) for fields in ReadableRows(path)]
        except InputError:  # of another program; the log says so already
            continue
        for linked in rows:
            tracks.setdefault((linked.row.camera_id, linked.row.track_id), _Track()).take(linked)
    told = _corrected(folder)
    return [
        _word(run_id, track, last)
        for track in tracks.values()
        for provisional_id, last in track.provisional.items()
        if provisional_id not in told and (track.final is None or track.final.link.global_id != provisional_id)
    ]


def _word(run_id: str, track: _Track, last: LinkedRow) -> Correction:
    counts = last.link if track.final is None else track.final.link
    return Correction(
        time_s=last.row.time_s,
        camera_id=last.row.camera_id,
        track_id=last.row.track_id,
        provisional_id=last.link.global_id,
        global_id=counts.global_id,
        confidence=counts.confidence,
        run_id=run_id,
    )


def _corrected(folder: Path) -> set[int]:
    return {correction_of(fields).provisional_id for fields in corrections(folder)}


def _repair(rows: ReadableRows, columns: Sequence[str]) -> None:
    """Set the file of `rows` aside if it is damaged, and put its readable rows in its place."""
    try:
        for _ in rows:
            pass
        repair_rows(rows, columns, ours=is_of_a_run(rows.path))
    except InputError as error:  # of another program or version
        if is_of_a_run(rows.path):
            _log.error("%s; it was renamed to %s", error, set_aside(rows.path).name)
        else:
            _log.warning("%s; it is ignored", error)
