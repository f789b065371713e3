"""Temporary folders that last as long as the process, however it ends."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = "mtmc-"
_LOCK = ".in-use"

_log = logging.getLogger(__name__)


@contextmanager
def working_folder(purpose: str, parent: Path | None = None) -> Generator[Path, None, None]:
    """Yield a folder as `process_folder` does; it is deleted when the block ends."""
    folder = process_folder(purpose, parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def process_folder(purpose: str, parent: Path | None = None) -> Path:
    """Create a temporary folder and return it. It is deleted when the process ends, or if that was killed, by the next
    process that creates such a folder.

    Args:
        purpose: part of the name, such as "ultralytics".
        parent: where to create it; None takes the place for temporary files.

    Raises:
        OSError: the folder cannot be created.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    _delete_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=parent))
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    if fcntl is not None:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the process ends
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _delete_abandoned(parent: Path) -> None:
    if fcntl is None:
        return
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            descriptor = os.open(lock, os.O_RDWR)
        except OSError:  # of another user, or deleted meanwhile
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
            _log.info("deleted %s, which a killed process had left", lock.parent)
        except OSError:
            continue  # its process is alive
        finally:
            os.close(descriptor)
