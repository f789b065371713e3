"""Files that are complete at every moment: replaced atomically, or extended by whole lines."""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.core.errors import RunError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

#: Permissions of files and folders with data of people: for their owner only.
FILE_MODE = 0o600
FOLDER_MODE = 0o700
#: Permissions of all other files, before the umask.
SHARED_MODE = 0o666

_FLUSH_INTERVAL_S = 0.5
_UNFINISHED = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part", re.DOTALL)
# Longer than the moment between the creation of an unfinished file and its lock.
_ABANDONED_S = 60.0
_ABANDONED_WITHOUT_LOCKS_S = 86_400.0
_log = logging.getLogger(__name__)


@contextmanager
def replacing(path: Path, *, mode: int = SHARED_MODE) -> Generator[Path, None, None]:
    """Yield a file to write, which replaces `path` atomically when the block ends without an error.

    A reader sees the old file or the complete new one, even after a power failure. After an error the old one stays,
    and the unfinished file is deleted. Its name is unique, so several processes can write the same file: the last one
    wins. Unfinished files of the same name that killed processes left are deleted.

    Args:
        mode: permissions of a new file.

    Raises:
        OSError: for example, the disk is full.
    """
    with suppress(OSError):  # of another user, who deletes it with the next write
        delete_unfinished(path, older_than_s=_ABANDONED_S)
    unfinished = path.with_name(f".{_shortened(path.name)}.{secrets.token_hex(4)}.part")
    try:
        # Locked while it is written, which tells others that its writer is alive.
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            if fcntl is not None:
                with suppress(OSError):  # not every file system has locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                os.close(descriptor)  # Windows replaces no file that is open
                descriptor = -1
            yield unfinished
            _sync(unfinished)
            os.replace(unfinished, path)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    finally:
        with suppress(OSError):  # it would fill a full disk; the first error is the one to raise
            unfinished.unlink()
    sync_folder(path.parent)


def unfinished_files(folder: Path, of: str = "*") -> list[Path]:
    """Return the files in `folder` with which `replacing` has not replaced another yet.

    Args:
        of: name of the other file, or a pattern as for `fnmatch`.
    """
    found = []
    with suppress(OSError), os.scandir(folder) as entries:  # without the folder there are none
        for entry in entries:
            match = _UNFINISHED.fullmatch(entry.name)
            if match is not None and entry.is_file(follow_symlinks=False):
                whole = match["name"]
                if whole == _shortened(of) or fnmatchcase(whole, of):
                    found.append(folder / entry.name)
    return sorted(found)


def delete_unfinished(path: Path, *, older_than_s: float) -> None:
    """Delete the unfinished files of `path` whose writer was killed; OSError if one cannot be deleted.

    Args:
        older_than_s: keep files that were changed within this time. Without locks (Windows), files are kept for a day.
    """
    for unfinished in unfinished_files(path.parent, path.name):
        with suppress(FileNotFoundError):  # its writer has finished meanwhile
            age_s = time.time() - unfinished.stat().st_mtime
            if age_s >= older_than_s and _is_abandoned(unfinished, age_s):
                unfinished.unlink()
                _log.warning("deleted %s, which a killed process had left", unfinished)


def _is_abandoned(unfinished: Path, age_s: float) -> bool:
    if fcntl is None:
        return age_s >= _ABANDONED_WITHOUT_LOCKS_S
    descriptor = os.open(unfinished, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return age_s >= _ABANDONED_WITHOUT_LOCKS_S
    finally:
        os.close(descriptor)
    return True


def _shortened(name: str) -> str:
    """Return a name without its end if the name of its unfinished file would be too long for a file system."""
    return os.fsdecode(os.fsencode(name)[:200])


def _sync(path: Path) -> None:
    """Force a file to disk; `path` may have been created anew by its writer."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes, *, mode: int = FILE_MODE) -> None:
    """Replace the content of a file atomically; after an OSError the old content stays."""
    with replacing(path, mode=mode) as part:
        part.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Force the names of the files in the folder to disk; Windows does this automatically."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cut_torn_line(path: Path) -> bool:
    """Remove an incomplete last line, left by a kill or a power cut; return whether there was one."""
    with path.open("r+b") as file:
        if not cut_torn_end(file.fileno()):
            return False
    _log.warning("%s was cut off while it was written; its incomplete last line was removed", path)
    return True


def cut_torn_end(descriptor: int) -> bool:
    """Remove an incomplete last line of an open file; return whether there was one."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        begin = max(end - 4096, 0)
        os.lseek(descriptor, begin, os.SEEK_SET)
        newline = os.read(descriptor, end - begin).rfind(b"\n")
        if newline >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end == size:
        return False
    os.ftruncate(descriptor, end)
    os.fsync(descriptor)
    return True


class WholeLines:
    """Appends whole lines: an incomplete line from a failed write is removed before the error is raised.

    Args:
        mode: permissions of a new file.
        anew: whether to empty an existing file.

    Raises:
        OSError: the file cannot be created.
    """

    def __init__(self, path: Path, *, mode: int = FILE_MODE, anew: bool = False) -> None:
        self.path = path
        truncate = os.O_TRUNC if anew else 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | truncate, mode)
        self.bytes = os.fstat(self._descriptor).st_size

    def append(self, text: str, *, all_or_nothing: bool = True) -> None:
        """Write lines, which include their line ends.

        Args:
            all_or_nothing: after an error, no line is kept; otherwise the completely written lines are kept.

        Raises:
            OSError: the lines cannot be written.
        """
        data = text.encode()
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            if not all_or_nothing:
                self.bytes += data.rfind(b"\n", 0, written) + 1
            with suppress(OSError):  # not every file can be truncated
                os.ftruncate(self._descriptor, self.bytes)
            raise
        self.bytes += written

    @property
    def in_place(self) -> bool:
        """Whether the file is still the one at its path; False after it was deleted or moved."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    @property
    def deleted(self) -> bool:
        """Whether the file has no name any more, so that its content is lost."""
        return os.fstat(self._descriptor).st_nlink == 0

    def sync(self) -> None:
        """Force everything to disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file. Without `sync` before, a power failure can lose the last lines."""
        os.close(self._descriptor)


class BufferedLines:
    """Collects whole lines and passes them to the operating system every half second; replaces an existing file.

    This happens inside `write_line` and `flush_if_due`, so one of them must be called regularly.

    Raises:
        RunError: the disk is full or the file cannot be written; earlier lines are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[str] = []
        self._flushed_s = time.monotonic()
        try:
            self._file = WholeLines(path, mode=SHARED_MODE, anew=True)
        except OSError as error:
            raise self._failed(error) from error

    def write_line(self, line: str) -> None:
        """Add a line, without its line end."""
        self._waiting.append(f"{line}\n")
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Flush if the last flush was at least half a second ago."""
        if time.monotonic() - self._flushed_s >= _FLUSH_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Pass all waiting lines to the operating system."""
        text, self._waiting = "".join(self._waiting), []
        self._flushed_s = time.monotonic()
        try:
            self._file.append(text, all_or_nothing=False)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Flush and close, so that a power cut loses nothing."""
        try:
            self.flush()
            self._file.sync()
        finally:
            self._file.close()

    def _failed(self, error: OSError) -> RunError:
        return RunError(
            f"{self._path} cannot be written: {error.strerror}; the rows before that are kept. Free space or "
            "choose another --output"
        )
