"""A run while a person corrects it: locks its folder, saves each step, and writes its rows anew."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.core.datatypes import Link
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError, RunError
from pipeline.cross_camera.fragments import fragments
from pipeline.files.folder_lock import FolderLock
from pipeline.files.run_folder import (
    EVENTS_NAME,
    HEAT_MAPS,
    NOTE_NAME,
    ORIGINAL_EVENTS_NAME,
    ORIGINAL_NOTE_NAME,
    ORIGINAL_ROWS_NAME,
    ORIGINAL_SUFFIX,
    read_note,
    reports,
)
from pipeline.files.tracklet_file import read_tracklets
from pipeline.files.whole_files import SHARED_MODE, replacing, write_whole
from pipeline.review.identities import Identities, Part
from pipeline.review.journal import VERSION, Journal
from pipeline.review.original_rows import OriginalRows, write_corrected
from pipeline.review.steps import ROW_STEPS, Step

_ROWS_NAME = "trajectories.csv"
#: States of runs whose ids are final.
_FINAL_STATES = ("complete", "incomplete", "killed")
_log = logging.getLogger(__name__)


def locked(folder: Path) -> FolderLock:
    """Lock the run of recordings in `folder` for a review.

    Raises:
        InputError: it holds no such run, cannot be written, or another process writes into it.
    """
    if not (folder / _ROWS_NAME).is_file():
        live = any(folder.glob("manifest-*.json")) or any(folder.glob("traj-*.csv*"))
        raise InputError(
            f"{folder} holds "
            + ("a live run; `mtmc review` corrects" if live else "no results of `mtmc track`: name the folder of")
            + " a run of recordings"
        )
    if not os.access(folder, os.W_OK | os.X_OK) or not os.access(folder / _ROWS_NAME, os.W_OK):
        raise InputError(f"{folder} is read-only, so corrections cannot be saved: copy it, and review the copy")
    return FolderLock(folder, "mtmc review", advice="wait until that has ended", private=False)


class ReviewedRun:
    """Used by several threads; a context manager. Rows are written by a thread of its own, after each step or several.

    Attributes:
        identities: after the steps in force.
        rows_path: trajectories.csv as the run wrote it.
        changed_files: names of files that showed other ids, and were deleted or set aside.
        problem: why the rows could not be written; '' if they could.

    Raises:
        InputError: see `locked`; or the ids of the run are not final, or a file is damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = locked(folder)
        try:
            self._note = _final_note(folder)
            self.journal = Journal(folder)
            if not self.journal.exists:
                self.journal.permanent = permanent_steps(self._note)
            tracks = self._original().tracks()
            self._without_crops = _without_crops(folder / "tracklets.arrow")
            self.identities = self._replayed(Identities(tracks))
        except BaseException:
            self._lock.close()
            raise
        self.changed_files: dict[str, None] = {}
        self.problem = ""
        self._changing = threading.RLock()
        self._writing = threading.Lock()
        self._due = threading.Condition(self._changing)
        self._closing = False
        self._written_lines = self._lines_written()
        # None: it is not known what the rows say.
        current = self._written_lines == self.journal.lines
        self._written_parts: dict[TrackKey, Part] | None = dict(self.identities.parts) if current else None
        self._thread = threading.Thread(target=self._write_when_due, name="writes corrections", daemon=True)
        self._thread.start()

    @property
    def rows_path(self) -> Path:
        """The rows as the run wrote them."""
        return self._original().csv_path

    @property
    def cameras(self) -> list[str]:
        """The cameras of the run, also those without rows."""
        named = dict.fromkeys([*_cameras(self._note), *(camera_id for camera_id, _ in self.identities.original)])
        return list(named)

    @property
    def saved(self) -> bool:
        """Whether trajectories.csv has all steps; False for a moment after each step."""
        with self._changing:
            return self._written_lines == self.journal.lines

    def do(self, make: Callable[[Identities], Step]) -> Step:
        """Make a step, save it, and return it.

        Args:
            make: returns the step; it is called while nobody else makes one, so that new ids are free.

        Raises:
            InputError: the step is impossible; nothing changed.
            RunError: it cannot be saved; nothing changed.
        """
        with self._changing:
            step = make(self.identities)
            trial = Identities(self.identities.original).apply_all([*self.journal.done, step])
            self._keep_original()
            self.journal.add(step)
            self.identities = trial
            self._due.notify_all()
            return step

    def undo(self) -> Step:
        """Undo the newest step, and return it; InputError without one."""
        return self._turn(self.journal.undo)

    def redo(self) -> Step:
        """Redo the step that was undone last, and return it; InputError without one."""
        return self._turn(self.journal.redo)

    def _turn(self, turn: Callable[[], Step]) -> Step:
        with self._changing:
            step = turn()
            self.identities = Identities(self.identities.original).apply_all(self.journal.done)
            self._due.notify_all()
            return step

    def write(self) -> None:
        """Write all steps into trajectories.csv, the MOT texts and run.json, unless that is done.

        Raises:
            RunError: a file cannot be written; it is as it was before.
        """
        # One at a time: otherwise, older rows could replace newer ones.
        with self._writing:
            self._write()

    def _write(self) -> None:
        try:
            with self._changing:
                lines, parts = self.journal.lines, dict(self.identities.parts)
                changes_rows = any(isinstance(step, ROW_STEPS) for step in self.journal.done)
                if lines == self._written_lines:
                    return
                note = self._noted()
            if parts != self._written_parts:
                write_corrected(self._original(), parts, self.folder / _ROWS_NAME, self.folder / "mot")
                self._refresh_others(changes_rows, _deleted(parts) != _deleted(self._written_parts or {}))
            path = self.folder / NOTE_NAME
            write_whole(path, note, mode=stat.S_IMODE(path.stat().st_mode))
        except (OSError, ValueError) as error:
            # Some files may have been replaced.
            self._written_parts = None
            raise RunError(f"corrections are saved, but trajectories.csv cannot be written: {error}") from error
        with self._changing:
            self._written_lines, self._written_parts = lines, parts

    def close(self) -> None:
        """Write what is not written yet, and release the folder.

        Raises:
            RunError: see `write`; the folder is released all the same.
        """
        with self._changing:
            self._closing = True
            self._due.notify_all()
        self._thread.join()
        try:
            self.write()
        finally:
            self._lock.close()

    def __enter__(self) -> ReviewedRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_when_due(self) -> None:
        failed = -1
        while True:
            with self._changing:
                while not self._closing and self.journal.lines in (self._written_lines, failed):
                    self._due.wait()
                if self._closing:
                    return
                tried = self.journal.lines
            try:
                self.write()
                self.problem = ""
            except RunError as error:
                # Tried again with the next step.
                failed, self.problem = tried, str(error)
                _log.error("%s", error)

    def _replayed(self, identities: Identities) -> Identities:
        """Apply the steps in force. Without the original, rows already have the steps that change rows."""
        journal = self.journal
        if (self.folder / ORIGINAL_ROWS_NAME).exists() or not any(
            isinstance(step, ROW_STEPS) for step in journal.done
        ):
            return identities.apply_all(journal.done)
        kept = []
        for step in journal.done:
            if not isinstance(step, ROW_STEPS):
                with suppress(InputError):  # of somebody who has another id since
                    identities.apply(step)
                    kept.append(step)
        permanent = len(journal.done) - len(kept)
        _log.warning(
            "%s is missing: %d steps that changed rows can no longer be undone", ORIGINAL_ROWS_NAME, permanent
        )
        journal.replace(kept, journal.permanent + permanent)
        return identities

    def _original(self) -> OriginalRows:
        kept = self.folder / ORIGINAL_ROWS_NAME
        if kept.exists():
            texts = self.folder.glob(f"mot/*.txt{ORIGINAL_SUFFIX}")
            return OriginalRows(
                kept, {path.name.removesuffix(f".txt{ORIGINAL_SUFFIX}"): path for path in sorted(texts)}
            )
        named = {name: self.folder / "mot" / f"{name}.txt" for name in _cameras(self._note)}
        return OriginalRows(
            self.folder / _ROWS_NAME, {name: path for name, path in named.items() if path.is_file()}
        )

    def _keep_original(self) -> None:
        """Copy the files that corrections will change, the rows last: with them, the original is complete."""
        if (self.folder / ORIGINAL_ROWS_NAME).exists():
            return
        texts = self._original().mot_paths.values()
        pairs = [(path, path.with_name(f"{path.name}{ORIGINAL_SUFFIX}")) for path in texts]
        pairs += [
            (self.folder / name, self.folder / kept)
            for name, kept in (
                (NOTE_NAME, ORIGINAL_NOTE_NAME),
                (EVENTS_NAME, ORIGINAL_EVENTS_NAME),
                (_ROWS_NAME, ORIGINAL_ROWS_NAME),
            )
            if (self.folder / name).is_file()
        ]
        try:
            for path, kept in pairs:
                _copy(path, kept)
        except OSError as error:
            raise RunError(
                f"{self.folder}: the original cannot be kept ({error.strerror}); the step was not made"
            ) from error

    def _refresh_others(self, changes_rows: bool, deletes: bool) -> None:
        """Remove what shows other ids than the rows have now, and can be made again."""
        events, kept = self.folder / EVENTS_NAME, self.folder / ORIGINAL_EVENTS_NAME
        if not changes_rows and kept.is_file():
            _copy(kept, events)
        elif events.is_file():
            events.unlink()
            self.changed_files[EVENTS_NAME] = None
        maps = sorted({path for pattern in HEAT_MAPS for path in self.folder.glob(pattern)})
        for path in [*reports(self.folder), *(maps if deletes else ())]:
            path.unlink()
            self.changed_files[str(path.relative_to(self.folder))] = None

    def _lines_written(self) -> int:
        noted = self._note.get("review")
        lines = noted.get("journal_lines") if isinstance(noted, dict) else 0
        return lines if isinstance(lines, int) else -1

    def _noted(self) -> bytes:
        """Return the content of run.json for the steps in force; without any, that of the original."""
        kept = self.folder / ORIGINAL_NOTE_NAME
        path = kept if kept.exists() else self.folder / NOTE_NAME
        journal = self.journal
        if not journal.done and not journal.permanent:
            return path.read_bytes()
        note = read_note(path)
        links = {
            key: Link(part.global_id, 1.0)
            for key, part in self.identities.parts.items()
            if part.global_id is not None
        }
        original = self.identities.original
        class_of = {key: original[self.identities.parts[key].origin].class_name for key in links}
        described = {key for key in links if self.identities.parts[key].origin not in self._without_crops}
        people = Counter({link.global_id: class_of[key] for key, link in links.items()}.values())
        loose = Counter(class_of[key] for key in fragments(links, described))
        if isinstance(note.get("classes"), dict):
            note["classes"] = {
                name: {**counts, "global_ids": people[name], "fragments": loose[name]}
                for name, counts in note["classes"].items()
                if isinstance(counts, dict)
            }
        rows = sum(len(track.frame_index) for track in original.values()) - self.identities.deleted_rows
        numbers = {"global_ids": people.total(), "fragments": loose.total(), "rows": rows}
        note |= {name: value for name, value in numbers.items() if name in note}
        note["review"] = {
            "version": VERSION,
            "steps": len(journal.done),
            "permanent_steps": journal.permanent,
            "deleted_rows": self.identities.deleted_rows,
            "confirmed": len(self.identities.confirmed),
            "journal_lines": journal.lines,
        }
        return (json.dumps(note, indent=1) + "\n").encode()


def _deleted(parts: Mapping[TrackKey, Part]) -> set[TrackKey]:
    return {key for key, part in parts.items() if part.global_id is None}


def _final_note(folder: Path) -> Mapping[str, Any]:
    path = folder / NOTE_NAME
    try:
        note = read_note(path)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is missing or damaged, so the run cannot be corrected ({error})") from error
    state = note.get("state") if isinstance(note, dict) else None
    if state not in _FINAL_STATES:
        raise InputError(
            f"{folder}: the state of the run is {state!r}, so its ids are not final: `mtmc link {folder} --overwrite` "
            "gives final ids"
        )
    return dict(note)


def permanent_steps(note: Mapping[str, Any]) -> int:
    """Return how many steps a run.json counts that can no longer be undone."""
    noted = note.get("review")
    steps = noted.get("permanent_steps") if isinstance(noted, dict) else 0
    return steps if isinstance(steps, int) else 0


def _cameras(note: Mapping[str, Any]) -> list[str]:
    cameras = note.get("cameras")
    return [str(name) for name in cameras] if isinstance(cameras, dict) else []


def _without_crops(path: Path) -> set[TrackKey]:
    """Return the tracks that are known to have no good crop."""
    try:
        return {one.key for one in read_tracklets(path) if not one.good_crops} if path.is_file() else set()
    except InputError as error:
        _log.warning("%s: it is not known which tracks are fragments, so all count as people", error)
        return set()


def _copy(path: Path, target: Path) -> None:
    with replacing(target, mode=SHARED_MODE) as part:
        shutil.copyfile(path, part)
        shutil.copystat(path, part)
