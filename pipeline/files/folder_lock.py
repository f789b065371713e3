"""Locks an output folder: one command at a time writes into it, and no data is deleted there meanwhile."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from pipeline.core.errors import InputError
from pipeline.files.set_aside import set_aside

try:
    import fcntl
except ImportError:  # not on Windows, where recordings can be tracked without a lock
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = "run.lock"
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows does not have it

_log = logging.getLogger(__name__)


class FolderLock:
    """Locks a folder, which is created if needed, until `close`; a context manager.

    A killed process leaves the file behind, but not the lock, which ends with the process.

    Args:
        command: the command that holds the lock, such as 'mtmc track', for the message to others.
        advice: what to do if another process holds the lock, for the message to the user.
        private: whether only the owner can use folder and file; otherwise the umask decides, as for files of `track`.
        keep: whether `close` keeps the file, so that the folder can be locked again on a full disk; otherwise `close`
            deletes it.

    Raises:
        InputError: another process holds the lock, or the folder cannot be locked.
    """

    def __init__(self, folder: Path, command: str, *, advice: str, private: bool, keep: bool = False) -> None:
        self._path = folder / LOCK_NAME
        self._keep = keep
        try:
            folder.mkdir(parents=True, mode=0o700 if private else 0o777, exist_ok=True)
            if self._path.is_symlink():  # what it leads to would be overwritten
                _log.error("%s is a link; it was renamed to %s", self._path, set_aside(self._path).name)
            elif self._path.is_dir():
                _log.error("%s is a folder; it was renamed to %s", self._path, set_aside(self._path).name)
            while not self._hold(0o600 if private else 0o666):
                pass
        except BlockingIOError as error:
            raise InputError(f"another {self._holder()}: {advice}") from error
        except OSError as error:
            raise InputError(f"output folder {folder} cannot be used: {error.strerror}") from error
        with suppress(OSError):  # on a full disk, only the name of the holder is missing
            text = f"{command}\n{os.getpid()}\n".encode()
            os.write(self._descriptor, text)
            os.ftruncate(self._descriptor, len(text))

    def _hold(self, mode: int) -> bool:
        """Lock the file; return False if it is no longer the one in the folder, because its holder has deleted it."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _NO_LINK, mode)
        if fcntl is None:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(self._descriptor), self._path.stat()):
                return True
        except FileNotFoundError:
            pass
        except OSError:
            os.close(self._descriptor)
            raise
        os.close(self._descriptor)
        return False

    @property
    def in_place(self) -> bool:
        """Whether the lock file is still the one in the folder."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def _holder(self) -> str:
        """Return '`mtmc track` writes into results (process 17)', as far as the file states it."""
        try:
            command, process = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return f"run writes into {self._path.parent}"
        return f"`{command}` writes into {self._path.parent} (process {process})"

    def close(self) -> None:
        """Release the folder."""
        if not self._keep:
            with suppress(OSError):  # the next process can use the file, too
                self._path.unlink()
        os.close(self._descriptor)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
