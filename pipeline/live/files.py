"""Files that are whole at every moment, readable by their owner alone."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from pipeline.folder_lock import FolderLock
from pipeline.results_csv import REWRITING_NAME

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_log = logging.getLogger(__name__)


class WholeLines:
    """Appends whole lines: what a failed write left of one is cut off before the error goes on.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        self.bytes = os.fstat(self._descriptor).st_size

    def append(self, text: str) -> None:
        """Write lines, with their line ends, or nothing at all; OSError if that cannot be done."""
        data = text.encode()
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            os.ftruncate(self._descriptor, self.bytes)
            raise
        self.bytes += written

    def sync(self) -> None:
        """Force everything to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it; without `sync` the last lines are lost if the power fails now."""
        os.close(self._descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file by another content at one stroke, also if the power fails; OSError leaves the old one."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    try:
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(part, path)
    except OSError:
        with suppress(OSError):  # on a full disk the rest is in the way; the first error is the one to tell
            part.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force the names of the files in it to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete_leftovers(folder: Path) -> None:
    """Delete what a kill left of files that were to be replaced; they hold what is in those files, people's features
    for example. Nobody else may be writing into the folder; OSError if one cannot be deleted."""
    for pattern in (
        "gallery.npz.part",
        "manifest-*.json.part",
        "*.csv.part.part",
        "remap.csv.part",
        ".*.purging",
        "mot/.*.purging",
    ):
        for path in folder.glob(pattern):
            path.unlink()
            _log.warning("%s was left by a kill, and deleted", path)
    if (folder / REWRITING_NAME).is_dir():
        shutil.rmtree(folder / REWRITING_NAME)
        _log.warning("%s was left by a kill, and deleted", folder / REWRITING_NAME)


def cut_torn_line(path: Path) -> bool:
    """Remove what a kill or a power cut left of a last line; whether there was such a thing."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            begin = max(end - 4096, 0)
            file.seek(begin)
            newline = file.read(end - begin).rfind(b"\n")
            if newline >= 0:
                end = begin + newline + 1
                break
            end = begin
        if end == size:
            return False
        file.truncate(end)
        os.fsync(file.fileno())
    _log.warning("%s was cut off while it was written; its last, torn line was removed", path)
    return True


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
