"""Deletes a person, or everything before a date, from all files of a run.

Every file is replaced atomically. The order is: embeddings, files that show everybody, rows, and the corrections that
assign rows to people. Data that is needed to find other data comes last, so that an interrupted purge can be run again.
Rows are read and written one by one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from pipeline.core.datatypes import Correction
from pipeline.core.errors import InputError, RunError
from pipeline.files.mot_files import result_line
from pipeline.files.results_csv import COLUMNS
from pipeline.files.run_folder import delete_leftovers
from pipeline.files.set_aside import files_put_aside
from pipeline.files.whole_files import cut_torn_line, delete_unfinished
from pipeline.live.output.gallery_file import GALLERY_NAME, keep_people
from pipeline.live.output.segments import REMAP_COLUMNS, REMAP_NAME, append_remaps
from pipeline.privacy.person import person_ids
from pipeline.privacy.run_folder import RunFolder, replacing, utc_of, write_csv

_GLOBAL_ID, _CAMERA_ID, _TRACK_ID = (COLUMNS.index(name) for name in ("global_id", "camera_id", "track_id"))

Row = list[str]
TrackKey = tuple[str, int]


@dataclass
class Purged:
    """What was deleted.

    Attributes:
        rows: rows of the CSV files.
        messages: lines of JSON lines files.
        identities: people in the gallery.
        tracklets: summaries of tracks, with their embeddings.
        corrections: rows of remap.csv.
        files: names of files that were deleted as a whole.
    """

    rows: int = 0
    messages: int = 0
    identities: int = 0
    tracklets: int = 0
    corrections: int = 0
    files: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything was deleted."""
        return bool(
            self.rows or self.messages or self.identities or self.tracklets or self.corrections or self.files
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
    with folder.locked():
        _check_shared(folder, delete_shared)
        delete_leftovers(folder.path)
        person = person_ids(folder, global_id)
        ids = person.all
        _note(folder, person.unwritten)

        def is_theirs(row: Row) -> bool:
            return int(row[_GLOBAL_ID]) in ids

        purged, rows = _purge_descriptions(
            folder,
            row=is_theirs,
            message=lambda content: not ids.isdisjoint({content.get("global_id"), content.get("provisional_id")}),
            identity=lambda known_id, last_seen_s: known_id in ids,
        )
        # Before the rows: as long as rows exist, the purge can be run again.
        if delete_shared and (rows or purged.anything):
            purged.files += _delete(folder.shared_files)
        _purge_rows(
            folder,
            purged,
            row=is_theirs,
            correction=lambda row: int(row["global_id"]) in ids or int(row["provisional_id"]) in ids,
        )
        if not purged.anything:
            raise InputError(f"nobody in {folder.path} has the id {global_id}")
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

    with folder.locked():
        _check_shared(folder, delete_shared)
        delete_leftovers(folder.path)
        purged, _ = _purge_descriptions(
            folder,
            row=is_old,
            message=lambda content: _time_s(content) < moment.timestamp(),
            identity=lambda known_id, last_seen_s: last_seen_s < moment.timestamp(),
        )
        if delete_shared:
            purged.files += _delete(folder.shared_files)
        _purge_rows(folder, purged, row=is_old, correction=lambda row: datetime.fromisoformat(row["utc"]) < moment)
        return purged


def _note(folder: RunFolder, corrections: Sequence[Correction]) -> None:
    """Write corrections that only the rows show to remap.csv. Otherwise an interrupted purge would lose them with the
    rows; remap.csv is changed last."""
    if not corrections:
        return
    path = folder.path / REMAP_NAME
    try:
        if path.exists():
            cut_torn_line(path)
        append_remaps(folder.path, corrections)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; nothing was deleted") from error


def _time_s(content: dict[str, object]) -> float:
    """Return the time of a message in Unix seconds; +inf if it has none, so that it is kept."""
    time_s = content.get("time_s")
    return float(time_s) if isinstance(time_s, int | float) else math.inf


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
) -> tuple[Purged, int]:
    """Delete all data except rows and corrections; return what was deleted, and the number of rows to delete."""
    purged = Purged()
    rows, gone = _scan(folder, row)
    if (folder.path / GALLERY_NAME).exists():
        purged.identities = keep_people(folder.path / GALLERY_NAME, lambda *known: not identity(*known))
    # It is not known whose data these files hold.
    purged.files += _delete(files_put_aside(folder.path))
    purged.tracklets = _purge_tracklets(folder.path / "tracklets.arrow", gone)
    for path in folder.json_lines:

        def is_gone(content: dict[str, object], path: Path = path) -> bool:
            return folder.is_ours(path, content.get("run_id")) and message(content)

        purged.messages += _purge_json_lines(path, is_gone)
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
        count, empty = _purge_csv(folder, path, row)
        purged.rows += count
        if empty:
            purged.files += _delete([path])
    purged.corrections = _purge_remaps(folder, correction)


def _scan(folder: RunFolder, is_gone: Callable[[Row], bool]) -> tuple[int, set[TrackKey]]:
    """Return the number of rows to delete, and the tracks that will have no row left."""
    rows = 0
    gone: set[TrackKey] = set()
    left: set[TrackKey] = set()
    for path in folder.csv_files:
        for row in folder.rows(path):
            goes = is_gone(row)
            rows += goes
            (gone if goes else left).add((row[_CAMERA_ID], int(row[_TRACK_ID])))
    return rows, gone - left


def _purge_csv(folder: RunFolder, path: Path, is_gone: Callable[[Row], bool]) -> tuple[int, bool]:
    """Return the number of deleted rows, and whether the file is a segment of a live run and now empty."""
    gone = left = 0
    for row in folder.rows(path):
        if is_gone(row):
            gone += 1
        else:
            left += 1
    if gone or _is_torn(path):
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            write_csv(file, COLUMNS, (row for row in folder.rows(path) if not is_gone(row)))
    recorded = path.name == "trajectories.csv"
    if recorded:
        _write_mot(folder, folder.rows(path))
    return gone, gone > 0 and left == 0 and not recorded


def _is_torn(path: Path) -> bool:
    """Return whether the last line is incomplete, after a kill."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _write_mot(folder: RunFolder, rows: Iterable[Row]) -> None:
    """Rewrite the MOT texts, which repeat the CSV, from the remaining rows."""
    with ExitStack() as stack:
        files = {}
        for path in sorted((folder.path / "mot").glob("*.txt")):
            part = stack.enter_context(replacing(path))
            files[path.stem] = stack.enter_context(part.open("w", encoding="utf-8"))
        for row in rows:
            text = dict(zip(COLUMNS, row, strict=True))
            if text["camera_id"] not in files:
                continue
            xyxy = (float(text["x1"]), float(text["y1"]), float(text["x2"]), float(text["y2"]))
            line = result_line(int(text["frame_index"]), int(text["global_id"]), xyxy, float(text["confidence"]))
            files[text["camera_id"]].write(f"{line}\n")


def _purge_tracklets(path: Path, gone: set[TrackKey]) -> int:
    if not path.exists():
        return 0
    batches = []
    removed = 0
    torn = False
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
        schema = reader.schema
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            except (pa.ArrowInvalid, OSError):
                torn = True  # by a kill; it is not known whose embeddings are in the rest
                break
            keys = zip(batch["camera_id"].to_pylist(), batch["track_id"].to_pylist(), strict=True)
            stay = [key not in gone for key in keys]
            removed += len(stay) - sum(stay)
            batches.append(batch.filter(pa.array(stay, pa.bool_())))
    if not removed and not torn:
        return 0
    with replacing(path) as part, pa.OSFile(str(part), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    return removed


def _purge_json_lines(path: Path, is_gone: Callable[[dict[str, object]], bool]) -> int:
    path.with_name(f".{path.name}.purging").unlink(missing_ok=True)  # of an earlier version of the program
    delete_unfinished(path, older_than_s=0.0)
    gone = sum(goes for _, goes in _judged(path, is_gone))
    if gone or (path.stat().st_size and _is_torn(path)):
        with replacing(path) as part, part.open("wb") as file:
            file.writelines(line for line, goes in _judged(path, is_gone) if not goes)
    return gone


def _judged(path: Path, is_gone: Callable[[dict[str, object]], bool]) -> Iterator[tuple[bytes, bool]]:
    """Yield each line, and whether to delete it; an incomplete last line is deleted."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                yield line, True
                return
            try:
                content = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: is not JSON; move the file away or repair it") from error
            yield line, isinstance(content, dict) and is_gone(content)


def _purge_remaps(folder: RunFolder, is_gone: Callable[[dict[str, str]], bool]) -> int:
    rows = folder.remaps()
    left = [row for row in rows if not is_gone(row)]
    if len(left) < len(rows):
        with (
            replacing(folder.path / REMAP_NAME) as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            write_csv(file, REMAP_COLUMNS, (row.values() for row in left))
    return len(rows) - len(left)


def _delete(paths: Iterable[Path]) -> tuple[str, ...]:
    names = []
    for path in paths:
        path.unlink()
        names.append(path.name)
    return tuple(names)
