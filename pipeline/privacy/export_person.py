"""Exports what a run has stored about a person."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError, RunError
from pipeline.counting.events_file import COLUMNS as EVENT_COLUMNS
from pipeline.counting.events_file import readable_events
from pipeline.files.readable_rows import row_of
from pipeline.files.results_csv import COLUMNS
from pipeline.files.whole_files import FOLDER_MODE, write_whole
from pipeline.live.output.gallery_file import GALLERY_NAME, person_in
from pipeline.live.output.segments import correction_of, corrections, run_id_of
from pipeline.live.sinks.messages import remap_content, row_content
from pipeline.privacy.decisions import decisions_about
from pipeline.privacy.person import person_ids
from pipeline.privacy.run_folder import RunFolder, write_csv
from pipeline.review.permanent import review_of

_log = logging.getLogger(__name__)


def export_person(folder: RunFolder, global_id: int, output: Path) -> dict[str, Any]:
    """Write person-ID.csv with the person's rows of the run, and person-ID.json with the rows, a summary, the
    corrections, the decisions, the events, what a review says about the person, and the embeddings. It also names the
    files that show everybody, such as reports and videos. A run may be writing meanwhile. Rows and corrections in the
    JSON file are as in the messages of sinks.

    Returns:
        The content of the JSON file.

    Raises:
        InputError: nobody has this id, or the ids of a recording became final meanwhile.
        RunError: the files cannot be written; or nobody has this id in the files that can be read, and others cannot.
    """
    with folder.keeping_ids():
        ids = person_ids(folder, global_id)
        rows: list[list[str]] = []
        contents: list[dict[str, Any]] = []
        unreadable = []
        for path in folder.csv_files:
            readable = folder.rows(path)
            theirs = [row for row in readable if int(row[COLUMNS.index("global_id")]) in ids.all]
            rows += theirs
            run_id = "" if path.name == "trajectories.csv" else run_id_of(path)
            contents += [_content(row, run_id) for row in theirs]
            if readable.problem:
                unreadable.append(f"{path}: {readable.problem}")
            if readable.damaged or readable.problem:
                _log.warning(
                    "%s: %s; what they hold is not exported",
                    path,
                    readable.problem or f"{len(readable.damaged)} lines cannot be read",
                )
    known = _known(folder.path / GALLERY_NAME, ids.global_id)
    if not rows and known is None and unreadable:
        raise RunError(f"{unreadable[0]}. Nobody has the id {global_id} in the files that can be read")
    if not rows and known is None:
        raise InputError(f"nobody in {folder.path} has the id {global_id}")
    content: dict[str, Any] = {
        "global_id": ids.global_id,
        "all_ids": sorted(ids.all),
        "exported_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "visits": _visits(rows),
        "known_in_memory": known,
        "corrections": [
            remap_content(one, "")
            for one in map(correction_of, corrections(folder.path))
            if one.provisional_id in ids.all
        ],
        "decisions": _decisions(folder, rows),
        "also_shown_in": [path.name for path in (*folder.reports, *folder.shared_files)],
        "events": _events(folder, ids.all),
        "review": _review(folder.path, ids.all),
        "rows": contents,
    }
    table = io.StringIO(newline="")
    write_csv(table, COLUMNS, rows)
    try:
        output.mkdir(parents=True, mode=FOLDER_MODE, exist_ok=True)
        write_whole(output / f"person-{ids.global_id}.csv", table.getvalue().encode())
        write_whole(output / f"person-{ids.global_id}.json", (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise RunError(f"{output} cannot be written: {error.strerror}") from error
    return content


def _content(fields: Sequence[str], run_id: str) -> dict[str, Any]:
    """Return a row of a CSV file as a message has it."""
    linked = row_of(fields)
    content = row_content(linked, run_id, fields[COLUMNS.index("utc")] or None)
    return content if run_id else {**content, "interpolated": linked.row.interpolated}


def _known(gallery: Path, global_id: int) -> dict[str, Any] | None:
    """Return the person's data in the gallery; None if there is none, or if it cannot be read."""
    if not gallery.exists():
        return None
    try:
        return person_in(gallery, global_id)
    except InputError as error:
        _log.warning("%s; the person's embeddings are not exported", error)
        return None


def _decisions(folder: RunFolder, rows: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return why the tracks of these rows have their id, without other people."""
    if folder.decisions is None:
        return []
    camera, track = COLUMNS.index("camera_id"), COLUMNS.index("track_id")
    tracks = {(row[camera], int(row[track])) for row in rows}
    return [asdict(decision) for decision in decisions_about(folder.decisions, tracks.__contains__)]


def _review(folder: Path, ids: Collection[int]) -> dict[str, Any] | None:
    """Return what a review says about the person; None without one, or if it cannot be read."""
    try:
        return review_of(folder, ids)
    except InputError as error:
        _log.warning("%s; names and corrections of the person are not exported", error)
        return None


def _events(folder: RunFolder, ids: Collection[int]) -> list[dict[str, str]]:
    """Return the person's events at zones and lines, by the columns of events.csv."""
    column = EVENT_COLUMNS.index("global_id")
    return [
        dict(zip(EVENT_COLUMNS, fields, strict=True))
        for path in folder.event_files
        for fields in readable_events(path)
        if int(fields[column]) in ids
    ]


def _visits(rows: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return a summary of each track, in order of time."""
    visits: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        text = dict(zip(COLUMNS, row, strict=True))
        # Track ids start from 1 again in each run; global ids do not.
        key = (text["global_id"], text["camera_id"], text["track_id"])
        visit = visits.setdefault(
            key,
            {
                "camera_id": text["camera_id"],
                "track_id": int(text["track_id"]),
                "from_s": float(text["time_s"]),
                "from_utc": text["utc"],
                "boxes": 0,
            },
        )
        visit |= {"to_s": float(text["time_s"]), "to_utc": text["utc"], "boxes": visit["boxes"] + 1}
    return sorted(visits.values(), key=lambda visit: (visit["from_s"], visit["camera_id"]))
