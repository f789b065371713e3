"""The files that a run leaves in its output folder: who may write there, what is cleared, what a kill leaves behind."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.files.folder_lock import FolderLock

#: The folder of rows with their final ids until they take the place of the others; a kill leaves it behind.
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
#: Unfinished files, of recordings and of live runs. They hold what is in the files that they were to replace, people's
#: features for example, and nothing else would ever read or delete them.
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
    """The folder, which is created if need be, for one command that writes results as recordings give them.

    Raises:
        InputError: another command holds it.
    """
    advice = "wait until that has ended, or choose another --output"
    return FolderLock(folder, command, advice=advice, private=False)


def clear_results(folder: Path, overwrite: bool) -> None:
    """Make room for a recording's files in `folder`, which is created if need be. What a kill left half made goes, too.

    Raises:
        InputError: results are there already and `overwrite` is False, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output folder {folder} cannot be made: {error.strerror}") from error
    present = [path for pattern in _RESULTS for path in sorted(folder.glob(pattern))]
    if present and not overwrite:
        raise InputError(f"{present[0]} already exists. Use --overwrite to replace the results in {folder}")
    for path in (*present, *half_made(folder)):
        path.unlink()
    if (folder / REWRITING_NAME).is_dir():
        shutil.rmtree(folder / REWRITING_NAME)


def half_made(folder: Path) -> list[Path]:
    """What a kill left of files that were to be replaced."""
    return [path for pattern in _HALF_MADE for path in sorted(folder.glob(pattern))]


def delete_leftovers(folder: Path) -> None:
    """Delete what a kill left of files that were to be replaced. Nobody else may be writing into the folder; OSError if
    one cannot be deleted."""
    for path in half_made(folder):
        path.unlink()
        _log.warning("%s was left by a kill, and deleted", path)
    if (folder / REWRITING_NAME).is_dir():
        shutil.rmtree(folder / REWRITING_NAME)
        _log.warning("%s was left by a kill, and deleted", folder / REWRITING_NAME)


class OutputFolder:
    """A folder that one live run at a time writes into.

    Raises:
        InputError: it cannot be made, or something else is using it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FolderLock(path, "mtmc live", advice="choose another --output", private=True, keep=True)
        if path.stat().st_mode & 0o077:
            _log.warning("%s can be read by others on this machine; chmod 700 keeps them out", path)

    def close(self) -> None:
        """Let another run use it."""
        self._lock.close()
