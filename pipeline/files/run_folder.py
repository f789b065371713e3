"""The output folder of a run: locks it, clears old results, and deletes what a killed run left behind."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError, RunError
from pipeline.files.folder_lock import FolderLock
from pipeline.files.whole_files import unfinished_files

#: What was run, with what, and how it ended.
NOTE_NAME = "run.json"
#: Why each track has its global id.
DECISIONS_NAME = "decisions.jsonl"
#: The page about a run, which `mtmc report` writes.
REPORT_NAME = "report.html"
#: Content of the tag `generator` of such a page, which shows that a file is one.
REPORT_MARK = "mtmc report"
#: Who entered and left zones and crossed lines.
EVENTS_NAME = "events.csv"
#: Steps of `mtmc review`. Its name does not end in .jsonl: it holds no messages of a sink.
REVIEW_NAME = "review.ndjson"
#: What a review has replaced, as the run wrote it. Each name of a MOT text has this suffix.
ORIGINAL_ROWS_NAME = "trajectories.original.csv"
ORIGINAL_NOTE_NAME = "run.original.json"
ORIGINAL_EVENTS_NAME = "events.original.csv"
ORIGINAL_SUFFIX = ".original"
#: Pictures of `mtmc count --heat-map` in a folder of a run, or directly below it.
FLOOR_HEAT_MAP = "floor_heat_map.png"
HEAT_MAPS = tuple(f"{below}{name}" for below in ("", "*/") for name in ("heat_map-*.png", FLOOR_HEAT_MAP))
#: Names that `mtmc demo` gives: a picture, and the folder of the run without embeddings.
STILL_NAME = "still.png"
FLOOR_ALONE_NAME = "floor_alone"
#: Folders of a second run by `mtmc demo`; versions before 0.2 had a run without the scene's site file.
SECOND_RUN_NAMES = (FLOOR_ALONE_NAME, "without_site")
#: Folder for rows with final ids, until they replace the rows with online ids. A killed run leaves it behind.
REWRITING_NAME = "rewriting"
#: Folder of `mtmc link` with the rows and tracklets of several runs, until they are linked. A killed run leaves it.
MERGING_NAME = "merging"
_REPLACED_PREFIX = ".replaced-"
# Bytes of a report in which its mark is.
_REPORT_HEAD = 1024
#: Results of a recording, which --overwrite replaces.
_RESULTS = (
    "trajectories.csv",
    "trajectories.mp4",
    NOTE_NAME,
    "tracklets.arrow",
    DECISIONS_NAME,
    REPORT_NAME,
    EVENTS_NAME,
    *HEAT_MAPS,
    "mot/*.txt",
    REVIEW_NAME,
    ORIGINAL_ROWS_NAME,
    ORIGINAL_NOTE_NAME,
    ORIGINAL_EVENTS_NAME,
    f"mot/*.txt{ORIGINAL_SUFFIX}",
    "detections/*.parquet",
)
#: Unfinished files of recordings and live runs. They hold the same data as the files that they should have replaced,
#: for example embeddings, and nothing else reads or deletes them. These are the names of earlier versions of the
#: program; those of this version are known to `unfinished_files`.
_HALF_MADE = (
    ".*.purging",
    "mot/.*.purging",
    "trajectories.part.mp4",
    "run.json.part",
    "gallery.npz.part",
    "manifest-*.json.part",
    "*.csv.part.part",
    "remap.csv.part",
)

_log = logging.getLogger(__name__)


def hold_results(folder: Path, command: str) -> FolderLock:
    """Lock the folder, which is created if needed, for one command that writes results of recordings.

    Raises:
        InputError: another command holds the lock.
    """
    advice = "wait until that has ended, or choose another --output"
    return FolderLock(folder, command, advice=advice, private=False)


def check_results(folder: Path, overwrite: bool) -> None:
    """Check that a recording's results can be written into `folder`, before any long work. Nothing is changed.

    Raises:
        InputError: there are results already and `overwrite` is False, or nothing can be written there.
    """
    present = _results(folder)
    if present and not overwrite:
        raise InputError(f"{present[0]} already exists. Use --overwrite to replace the results in {folder}")
    existing = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    if not existing.is_dir():
        raise InputError(f"output folder {folder} cannot be created: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"output folder {folder} cannot be created: no permission to write into {existing}")


def clear_results(folder: Path, overwrite: bool) -> None:
    """Create `folder` if needed, and delete from it old results of recordings and the unfinished files of a killed run.

    Raises:
        InputError: there are results already and `overwrite` is False, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output folder {folder} cannot be created: {error.strerror}") from error
    check_results(folder, overwrite)
    results = _results(folder)
    other_reports = [path for path in reports(folder) if path not in results]
    old = [*results, *other_reports, *half_made(folder), *_half_made_folders(folder)]
    if old:
        _delete_all_or_nothing(folder, old)


def _delete_all_or_nothing(folder: Path, paths: Sequence[Path]) -> None:
    """Delete files and folders; if one of them cannot be deleted, InputError, and all are still there.

    They are first moved into a folder of their own, which needs the same permissions as deleting them.
    """
    moved: list[tuple[Path, Path]] = []
    folders = _half_made_folders(folder)
    try:
        bin_folder = Path(tempfile.mkdtemp(prefix=_REPLACED_PREFIX, dir=folder))
        try:
            for number, path in enumerate(paths):
                if path.is_dir() and path not in folders:
                    raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
                path.rename(bin_folder / str(number))
                moved.append((path, bin_folder / str(number)))
        except OSError:
            for path, place in moved:
                place.rename(path)
            bin_folder.rmdir()
            raise
    except OSError as error:
        raise InputError(
            f"{error.filename or folder} cannot be replaced ({error.strerror}), and nothing was deleted: remove the "
            "old results yourself, or choose another --output"
        ) from error
    shutil.rmtree(bin_folder, ignore_errors=True)
    if bin_folder.exists():
        _log.warning("old results could not be deleted completely: remove %s", bin_folder)


def _results(folder: Path) -> list[Path]:
    found = []
    for pattern in _RESULTS:
        # `glob` leaves out links that lead nowhere, but the file would be written where they lead.
        named = folder / pattern
        found += [named] if named.is_symlink() else sorted(folder.glob(pattern))
    return found


def half_made(folder: Path) -> list[Path]:
    """Return the unfinished files that a killed run left."""
    old = [path for pattern in _HALF_MADE for path in sorted(folder.glob(pattern)) if path.is_file()]
    return [*old, *unfinished_files(folder), *unfinished_files(folder / "mot")]


def _half_made_folders(folder: Path) -> list[Path]:
    found = [folder / REWRITING_NAME, folder / MERGING_NAME, *sorted(folder.glob(f"{_REPLACED_PREFIX}*"))]
    return [path for path in found if path.is_dir()]


def delete_leftovers(folder: Path) -> None:
    """Delete the unfinished files that a killed run left; OSError if one cannot be deleted. No other process may be
    writing into the folder."""
    for path in half_made(folder):
        path.unlink()
        _log.warning("deleted %s, which a killed run had left", path)
    for path in _half_made_folders(folder):
        shutil.rmtree(path)
        _log.warning("deleted %s, which a killed run had left", path)


def is_reviewed(folder: Path) -> bool:
    """Return whether `mtmc review` has corrected the run in a folder."""
    return any((folder / name).exists() for name in (REVIEW_NAME, ORIGINAL_ROWS_NAME)) or (
        "review" in _keys(_note(folder / NOTE_NAME))
    )


def is_report(path: Path) -> bool:
    """Return whether a file is a page that `mtmc report` wrote; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return f'content="{REPORT_MARK}"'.encode() in file.read(_REPORT_HEAD)
    except OSError:
        return False


def reports(folder: Path) -> list[Path]:
    """Return the reports in the folder, under any name. They show people and their ids."""
    return [path for path in sorted(folder.glob("*.html")) if path.is_file() and is_report(path)]


class OutputFolder:
    """A folder that one live run at a time writes into.

    Raises:
        InputError: the folder cannot be created, or another process is using it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = self._new_lock()
        if path.stat().st_mode & 0o077:
            _log.warning("%s can be read by other users of this machine; chmod 700 prevents that", path)

    def hold_again(self) -> None:
        """Lock the folder again if its lock file was deleted or moved, for example with the whole folder.

        Raises:
            RunError: another run has locked the folder meanwhile.
            OSError: the folder is missing, or the file cannot be created.
        """
        if not self._lock.in_place and self.path.is_dir():
            try:
                lock = self._new_lock()
            except InputError as error:
                if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, BlockingIOError):
                    raise error.__cause__ from error
                raise RunError(f"the output folder was replaced during the run: {error}") from error
            self._lock.close()
            self._lock = lock

    def _new_lock(self) -> FolderLock:
        return FolderLock(self.path, "mtmc live", advice="choose another --output", private=True, keep=True)

    def close(self) -> None:
        """Release the folder for another run."""
        self._lock.close()


def noted_recording(path: Path) -> dict[str, Any]:
    """Return the section `recording` of the configuration in a run.json; empty without such a file or section."""
    try:
        return dict(_note(path)["config"]["recording"])
    except (KeyError, TypeError, ValueError):
        return {}


def noted_steps(path: Path) -> dict[str, int]:
    """Return by camera the difference between the indices of consecutive frames, as noted in a run.json; empty without
    such a file or note."""
    try:
        steps = {str(name): noted["index_step"] for name, noted in _note(path)["cameras"].items()}
    except (AttributeError, KeyError, TypeError):
        return {}
    return {name: step for name, step in steps.items() if isinstance(step, int) and step >= 1}


def read_note(path: Path) -> Any:
    """Return the content of a run.json.

    Raises:
        OSError, ValueError, RecursionError: it cannot be read, or is no JSON.
    """
    if path.exists() and not path.is_file():
        # Reading a named pipe would wait until somebody writes to it.
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return json.loads(path.read_text(encoding="utf-8"))


def _keys(content: object) -> set[str]:
    return set(content) if isinstance(content, dict) else set()


def _note(path: Path) -> Any:
    try:
        return read_note(path)
    except (OSError, ValueError, RecursionError):
        return {}
