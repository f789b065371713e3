"""Temporary folders that last as long as the process, however it ends."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = "mtmc-"
# Of a file beside the folder: it is locked while the process lives, and marks the folder as one of this program.
_LOCK_SUFFIX = ".in-use"
# Longer than the moment between the creation of that file and its lock.
_ABANDONED_S = 60.0

_log = logging.getLogger(__name__)


@contextmanager
def working_folder(purpose: str, parent: Path | None = None) -> Generator[Path, None, None]:
    """Yield a folder as `process_folder` does; it is deleted when the block ends."""
    folder, lock = _create(purpose, parent)
    try:
        yield folder
    finally:
        _delete(folder)
        os.close(lock)


def process_folder(purpose: str, parent: Path | None = None) -> Path:
    """Create a temporary folder and return it. It is deleted when the process ends, or if that was killed, by a process
    that creates such a folder at least a minute later.

    Args:
        purpose: part of the name, such as "ultralytics".
        parent: where to create it; None takes the place for temporary files.

    Raises:
        OSError: the folder cannot be created.
    """
    folder, _ = _create(
        purpose, parent
    )  # the descriptor stays open, and the folder locked, until the process ends
    atexit.register(_delete, folder)
    return folder


def _create(purpose: str, parent: Path | None) -> tuple[Path, int]:
    """Return a new folder, and the descriptor that locks it."""
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    _delete_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=parent))
    descriptor = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT, 0o600)
    if fcntl is not None:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return folder, descriptor


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_LOCK_SUFFIX}")


def _delete(folder: Path) -> None:
    """Delete a folder, then its mark, so that what remains after a kill is deleted by the next process."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        _lock_of(folder).unlink(missing_ok=True)


def _delete_abandoned(parent: Path) -> None:
    if fcntl is None:
        return
    for lock in parent.glob(f"{_PREFIX}*{_LOCK_SUFFIX}"):
        try:
            descriptor = os.open(lock, os.O_RDWR)
        except OSError:  # of another user, or deleted meanwhile
            continue
        try:
            if time.time() - os.fstat(descriptor).st_mtime < _ABANDONED_S:
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = lock.with_name(lock.name.removesuffix(_LOCK_SUFFIX))
            _delete(folder)
            _log.info("deleted %s, which a killed process had left", folder)
        except OSError:
            continue  # its process is alive
        finally:
            os.close(descriptor)
