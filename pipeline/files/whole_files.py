"""Files that are complete at every moment: replaced atomically, or extended by whole lines."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.core.errors import RunError

#: Permissions of files and folders with data of people: for their owner only.
FILE_MODE = 0o600
FOLDER_MODE = 0o700
#: Permissions of all other files, before the umask.
SHARED_MODE = 0o666

_FLUSH_INTERVAL_S = 0.5
_log = logging.getLogger(__name__)


@contextmanager
def replacing(path: Path, *, mode: int = SHARED_MODE, part: Path | None = None) -> Generator[Path, None, None]:
    """Yield a file to write, which replaces `path` atomically when the block ends without an error.

    A reader sees the old file or the complete new one, even after a power failure. After an error the old one stays,
    and the unfinished file is deleted.

    Args:
        mode: permissions of a new file.
        part: name of the unfinished file, which remains only after a kill; None takes PATH.part.

    Raises:
        OSError: for example, the disk is full.
    """
    unfinished = path.with_name(path.name + ".part") if part is None else part
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode))
        yield unfinished
        descriptor = os.open(unfinished, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):  # it would fill a full disk; the first error is the one to raise
            unfinished.unlink()
    sync_folder(path.parent)


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
    _log.warning("%s was cut off while it was written; its incomplete last line was removed", path)
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
