"""Deletes a person, or everything before a date, from all files of a run.

Every file is replaced atomically. The order is: embeddings, files that show everybody, rows, and the corrections that
assign rows to people. Data that is needed to find other data comes last, so that an interrupted purge can be run again.
Rows are read and written one by one.

It is not known whose data a damaged line, batch or file holds, so all of these are deleted, and counted.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from pipeline.core.datatypes import Correction
from pipeline.core.errors import InputError, RunError
from pipeline.counting.events_file import COLUMNS as EVENT_COLUMNS
from pipeline.counting.events_file import readable_events
from pipeline.files.mot_files import result_line
from pipeline.files.results_csv import COLUMNS
from pipeline.files.run_folder import delete_leftovers
from pipeline.files.set_aside import files_put_aside
from pipeline.files.shared_file import locked_path
from pipeline.files.tracklet_file import IntactBatches, write_intact
from pipeline.files.whole_files import cut_torn_line, delete_unfinished
from pipeline.live.output.gallery_file import GALLERY_NAME, empty_gallery, keep_people, person_in
from pipeline.live.output.segments import REMAP_COLUMNS, REMAP_NAME, append_remaps, corrections, is_of_a_run
from pipeline.privacy.decisions import purge_decisions
from pipeline.privacy.events import purge_events
from pipeline.privacy.person import person_ids
from pipeline.privacy.run_folder import RunFolder, message_in, replacing, utc_of, write_csv
from pipeline.review.permanent import make_permanent

_GLOBAL_ID, _CAMERA_ID, _TRACK_ID = (COLUMNS.index(name) for name in ("global_id", "camera_id", "track_id"))

_EVENT_ID, _EVENT_UTC = (EVENT_COLUMNS.index(name) for name in ("global_id", "utc"))

_log = logging.getLogger(__name__)

Row = list[str]
TrackKey = tuple[str, int]


@dataclass
class Purged:
    """What was deleted.

    Attributes:
        rows: rows of the CSV files.
        messages: lines of JSON lines files, also of decisions.jsonl.
        identities: people in the gallery.
        tracklets: summaries of tracks, with their embeddings.
        corrections: rows of remap.csv.
        events: rows of files with events at zones and lines.
        damaged: lines of these files that could not be read.
        left: files of which nothing could be read, and which may be somebody else's.
        files: names of files that were deleted as a whole.
    """

    rows: int = 0
    messages: int = 0
    identities: int = 0
    tracklets: int = 0
    corrections: int = 0
    events: int = 0
    damaged: int = 0
    left: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything was deleted."""
        return bool(
            self.rows
            or self.messages
            or self.identities
            or self.tracklets
            or self.corrections
            or self.events
            or self.files
        )


def purge_person(folder: RunFolder, global_id: int, *, delete_shared: bool) -> Purged:
    """Delete a person's rows and embeddings under all ids of the person.

    Args:
        delete_shared: whether to delete also the files that show everybody: videos and saved detections.

    Raises:
        InputError: a run is writing to the folder, nobody has this id, or there are shared files and `delete_shared` is
            False; nothing has changed then.
        RunError: a file cannot be written.
    """
    with folder.locked(), _disk_errors():
        _check_shared(folder, delete_shared)
        delete_leftovers(folder.path)
        person = person_ids(folder, global_id)
        ids = person.all

        def is_theirs(row: Row) -> bool:
            return int(row[_GLOBAL_ID]) in ids

        def is_about_them(content: dict[str, object]) -> bool:
            return any(content.get(name) == one for name in ("global_id", "provisional_id") for one in ids)

        if not _is_known(folder, ids, is_theirs, is_about_them):
            raise InputError(f"nobody in {folder.path} has the id {global_id}")
        _note(folder, person.unwritten)
        cut = make_permanent(folder.path, ids.__contains__)
        reports = _delete(folder.reports)
        purged, rows = _purge_descriptions(
            folder,
            row=is_theirs,
            message=is_about_them,
            identity=lambda known_id, last_seen_s: known_id in ids,
            cut=cut,
        )
        purged.files += reports
        purge_events(folder, purged, lambda fields: int(fields[_EVENT_ID]) in ids, recount=True)
        # Before the rows: as long as rows exist, the purge can be run again.
        purged.files += _delete(folder.heat_maps if rows or purged.anything else ())
        if delete_shared and (rows or purged.anything):
            purged.files += _delete(folder.shared_files)
        _purge_rows(
            folder,
            purged,
            row=is_theirs,
            correction=lambda row: int(row["global_id"]) in ids or int(row["provisional_id"]) in ids,
        )
        return purged


def purge_before(folder: RunFolder, moment: datetime, *, delete_shared: bool) -> Purged:
    """Delete all rows and embeddings from before a moment; people seen since then stay in the gallery.

    Args:
        moment: with its time zone.
        delete_shared: as in `purge_person`.

    Raises:
        InputError, RunError: as in `purge_person`; also InputError if the rows have no dates.
    """
    moment = moment.astimezone(UTC)

    def is_old(row: Row) -> bool:
        seen = utc_of(row)
        if seen is None:
            raise InputError(
                f"the rows of {folder.path} have no dates (no camera had a start_utc); delete the folder, or purge "
                "by --id"
            )
        return seen < moment

    with folder.locked(), _disk_errors():
        _check_shared(folder, delete_shared)
        delete_leftovers(folder.path)
        cut = make_permanent(folder.path, _gone_before(folder, is_old))
        purged, rows = _purge_descriptions(
            folder,
            row=is_old,
            message=lambda content: _time_s(content) < moment.timestamp(),
            identity=lambda known_id, last_seen_s: last_seen_s < moment.timestamp(),
            cut=cut,
        )
        if rows:
            purged.files += _delete(folder.reports)
        # Who entered before and is still inside stays counted, so the numbers of people inside stay as they are.
        purge_events(folder, purged, lambda fields: _is_before(fields[_EVENT_UTC], moment), recount=False)
        purged.files += _delete(folder.heat_maps if rows or purged.anything else ())
        if delete_shared and (rows or purged.anything):
            purged.files += _delete(folder.shared_files)
        _purge_rows(folder, purged, row=is_old, correction=lambda row: datetime.fromisoformat(row["utc"]) < moment)
        return purged


@contextmanager
def _disk_errors() -> Generator[None, None, None]:
    """Turn an OSError into a RunError that names the file."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{error.filename or 'a file'} cannot be read or deleted: {error.strerror or error}; correct that, and run "
            "the purge again"
        ) from error


def _is_known(
    folder: RunFolder,
    ids: Collection[int],
    row: Callable[[Row], bool],
    message: Callable[[dict[str, object]], bool],
) -> bool:
    """Return whether any file says something about a person; files that cannot be read may."""
    if any(row(one) for path in folder.csv_files for one in folder.rows(path)):
        return True
    if any(int(fields[_EVENT_ID]) in ids for path in folder.event_files for fields in readable_events(path)):
        return True
    if any(not {int(one["global_id"]), int(one["provisional_id"])}.isdisjoint(ids) for one in folder.remaps()):
        return True
    gallery = folder.path / GALLERY_NAME
    try:
        if gallery.exists() and any(person_in(gallery, one) is not None for one in ids):
            return True
    except InputError:
        return True
    if any(_of_mot_text(line) in ids for path in _mot_texts(folder) for line in _lines(path)):
        return True
    return any(
        content is not None and folder.is_ours(path, content.get("run_id")) and message(content)
        for path in folder.json_lines
        for content in map(message_in, _lines(path))
    )


def _gone_before(folder: RunFolder, is_old: Callable[[Row], bool]) -> Callable[[int], bool]:
    """Return whether all rows of an id are to be deleted."""
    left = {int(row[_GLOBAL_ID]) for path in folder.csv_files for row in folder.rows(path) if not is_old(row)}
    return lambda global_id: global_id not in left


def _note(folder: RunFolder, corrections: Sequence[Correction]) -> None:
    """Write corrections that only the rows show to remap.csv. Otherwise an interrupted purge would lose them with the
    rows; remap.csv is changed last."""
    if not corrections:
        return
    path = folder.path / REMAP_NAME
    try:
        if path.is_file():
            cut_torn_line(path)
        append_remaps(folder.path, corrections)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; nothing was deleted") from error


def _is_before(utc: str, moment: datetime) -> bool:
    return bool(utc) and datetime.fromisoformat(utc) < moment


def _time_s(content: dict[str, object]) -> float:
    """Return the time of a message in Unix seconds; +inf if it has none, so that it is kept."""
    time_s = content.get("time_s")
    try:
        return float(time_s) if isinstance(time_s, int | float) else math.inf
    except OverflowError:  # a damaged number
        return math.inf


def _check_shared(folder: RunFolder, delete_shared: bool) -> None:
    shared = folder.shared_files
    if shared and not delete_shared:
        names = ", ".join(str(path.relative_to(folder.path)) for path in shared)
        raise InputError(
            f"{names} in {folder.path} show everybody, and one person cannot be removed from them: "
            "give --delete-shared to delete these files as well"
        )


def _purge_descriptions(
    folder: RunFolder,
    *,
    row: Callable[[Row], bool],
    message: Callable[[dict[str, object]], bool],
    identity: Callable[[int, float], bool],
    cut: Collection[TrackKey],
) -> tuple[Purged, int]:
    """Delete all data except rows and corrections; return what was deleted, and the number of rows to delete.

    Args:
        cut: tracks that a review cut: their tracklets and decisions are about two people, and are deleted.
    """
    purged = Purged()
    rows, left = _scan(folder, row)
    left -= set(cut)
    gallery = folder.path / GALLERY_NAME
    if gallery.exists():
        try:
            purged.identities = keep_people(gallery, lambda *known: not identity(*known), forget_means=rows > 0)
        except InputError as error:
            _log.warning("%s; it now holds nobody, and only the first free id", error)
            empty_gallery(gallery)
            purged.files += (f"{GALLERY_NAME} (damaged)",)
    # It is not known whose data these files hold.
    purged.files += _delete(files_put_aside(folder.path))
    _purge_tracklets(folder.path / "tracklets.arrow", left, purged)
    if folder.decisions is not None:
        lines = purge_decisions(folder.decisions, left.__contains__)
        purged.messages += lines.gone
        purged.damaged += lines.damaged
        purged.left += (folder.decisions.name,) if lines.hopeless else ()
    for path in folder.json_lines:

        def is_gone(content: dict[str, object], path: Path = path) -> bool:
            return folder.is_ours(path, content.get("run_id")) and message(content)

        _purge_json_lines(path, is_gone, purged)
    return purged, rows


def _purge_rows(
    folder: RunFolder,
    purged: Purged,
    *,
    row: Callable[[Row], bool],
    correction: Callable[[dict[str, str]], bool],
) -> None:
    """Delete rows, then the corrections that assign rows to people; count both in `purged`."""
    for path in folder.csv_files:
        if _purge_csv(folder, path, row, purged):
            purged.files += _delete([path])
    _purge_remaps(folder, correction, purged)


def _scan(folder: RunFolder, is_gone: Callable[[Row], bool]) -> tuple[int, set[TrackKey]]:
    """Return the number of rows to delete, and the tracks that will have rows left."""
    rows = 0
    left: set[TrackKey] = set()
    for path in folder.csv_files:
        for row in folder.rows(path):
            if is_gone(row):
                rows += 1
            else:
                left.add((row[_CAMERA_ID], int(row[_TRACK_ID])))
    return rows, left


def _purge_csv(folder: RunFolder, path: Path, is_gone: Callable[[Row], bool], purged: Purged) -> bool:
    """Count the deleted rows; return whether the file is a segment of a live run that now holds nothing."""
    gone = left = 0
    rows = folder.rows(path)
    for row in rows:
        if is_gone(row):
            gone += 1
        else:
            left += 1
    recorded = path.name == "trajectories.csv"
    if rows.hopeless:
        if is_of_a_run(path) and not rows.problem:
            return True
        purged.left += (path.name,)
        return False
    if gone or rows.torn or rows.needs_repair:
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            write_csv(file, COLUMNS, (row for row in folder.rows(path) if not is_gone(row)))
    purged.rows += gone
    purged.damaged += len(rows.damaged)
    if recorded:
        _write_mot(folder, folder.rows(path))
    return gone + len(rows.damaged) > 0 and left == 0 and not recorded


def _write_mot(folder: RunFolder, rows: Iterable[Row]) -> None:
    """Rewrite the MOT texts, which repeat the CSV, from the remaining rows; other texts in the folder stay."""
    with ExitStack() as stack:
        files = {}
        for path in _mot_texts(folder):
            part = stack.enter_context(replacing(path))
            files[path.stem] = stack.enter_context(part.open("w", encoding="utf-8"))
        for row in rows:
            text = dict(zip(COLUMNS, row, strict=True))
            if text["camera_id"] not in files:
                continue
            xyxy = (float(text["x1"]), float(text["y1"]), float(text["x2"]), float(text["y2"]))
            line = result_line(int(text["frame_index"]), int(text["global_id"]), xyxy, float(text["confidence"]))
            files[text["camera_id"]].write(f"{line}\n")


def _mot_texts(folder: RunFolder) -> list[Path]:
    """Return the texts in mot/ that hold results; an empty one holds nobody."""
    paths = sorted((folder.path / "mot").glob("*.txt"))
    return [path for path in paths if any(_of_mot_text(line) is not None for line in _lines(path))]


def _of_mot_text(line: bytes) -> int | None:
    """Return the global id in a line that `result_line` wrote; None for another line."""
    fields = line.rstrip().split(b",")
    return int(fields[1]) if len(fields) == 10 and fields[1].isdigit() and fields[-1] == b"-1" else None


def _purge_tracklets(path: Path, left: set[TrackKey], purged: Purged) -> None:
    """Delete the tracklets of tracks that have no row left."""
    if not path.exists():
        return
    try:
        batches = IntactBatches(path)
    except InputError as error:
        _log.warning("%s; it was deleted, because it is not known whose embeddings it holds", error)
        purged.files += _delete([path])
        return
    removed = 0
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        keys = zip(batch["camera_id"].to_pylist(), batch["track_id"].to_pylist(), strict=True)
        stay = [key in left for key in keys]
        removed += len(stay) - sum(stay)
        kept.append(batch.filter(pa.array(stay, pa.bool_())))
    if removed or batches.damaged:
        with (
            replacing(path) as part,
            pa.OSFile(os.fsencode(part), "wb") as file,
            pa.ipc.new_stream(file, batches.schema) as stream,
        ):
            for batch in kept:
                write_intact(stream, batch)
    purged.tracklets += removed


def _purge_json_lines(path: Path, is_gone: Callable[[dict[str, object]], bool], purged: Purged) -> None:
    """Delete messages, and lines that cannot be read; runs and other purges that share the file wait meanwhile."""
    with locked_path(path):
        _purge_messages(path, is_gone, purged)


def _purge_messages(path: Path, is_gone: Callable[[dict[str, object]], bool], purged: Purged) -> None:
    path.with_name(f".{path.name}.purging").unlink(missing_ok=True)  # of an earlier version of the program
    delete_unfinished(path, older_than_s=0.0)
    messages = gone = damaged = 0
    torn = False
    for line in _lines(path):
        content = message_in(line)
        if not line.endswith(b"\n"):
            torn = True
        elif content is None:
            damaged += 1
        else:
            messages += 1
            gone += is_gone(content)
    if damaged and not messages:
        purged.left += (str(path),)
        return
    if gone or damaged or torn:
        with replacing(path) as part, part.open("wb") as file:
            for line in _lines(path):
                content = message_in(line)
                if line.endswith(b"\n") and content is not None and not is_gone(content):
                    file.write(line)
    purged.messages += gone
    purged.damaged += damaged


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _purge_remaps(folder: RunFolder, is_gone: Callable[[dict[str, str]], bool], purged: Purged) -> None:
    path = folder.path / REMAP_NAME
    rows = corrections(folder.path)
    found = [dict(zip(REMAP_COLUMNS, row, strict=True)) for row in rows]
    left = [row for row in found if not is_gone(row)]
    if path.is_file() and (len(left) < len(found) or rows.damaged or rows.torn):
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            write_csv(file, REMAP_COLUMNS, (row.values() for row in left))
    purged.corrections += len(found) - len(left)
    purged.damaged += len(rows.damaged)


def _delete(paths: Iterable[Path]) -> tuple[str, ...]:
    names = []
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        names.append(path.name)
    return tuple(names)
