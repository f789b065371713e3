"""The output folder of a run: locks it, clears old results, and deletes what a killed run left behind."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from pipeline.core.errors import InputError, RunError
from pipeline.files.folder_lock import FolderLock

#: Folder for rows with final ids, until they replace the rows with online ids. A killed run leaves it behind.
REWRITING_NAME = "rewriting"
#: Results of a recording, which --overwrite replaces.
_RESULTS = (
    "trajectories.csv",
    "trajectories.mp4",
    "run.json",
    "tracklets.arrow",
    "mot/*.txt",
    "detections/*.parquet",
)
#: Unfinished files of recordings and live runs. They hold the same data as the files that they should have replaced,
#: for example embeddings, and nothing else reads or deletes them.
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
    for path in (*_results(folder), *half_made(folder)):
        path.unlink()
    if (folder / REWRITING_NAME).is_dir():
        shutil.rmtree(folder / REWRITING_NAME)


def _results(folder: Path) -> list[Path]:
    return [path for pattern in _RESULTS for path in sorted(folder.glob(pattern))]


def half_made(folder: Path) -> list[Path]:
    """Return the unfinished files that a killed run left."""
    return [path for pattern in _HALF_MADE for path in sorted(folder.glob(pattern))]


def delete_leftovers(folder: Path) -> None:
    """Delete the unfinished files that a killed run left; OSError if one cannot be deleted. No other process may be
    writing into the folder."""
    for path in half_made(folder):
        path.unlink()
        _log.warning("deleted %s, which a killed run had left", path)
    if (folder / REWRITING_NAME).is_dir():
        shutil.rmtree(folder / REWRITING_NAME)
        _log.warning("deleted %s, which a killed run had left", folder / REWRITING_NAME)


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
