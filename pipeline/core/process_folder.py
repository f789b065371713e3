"""Temporary folders that last as long as the process, however it ends."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = "mtmc-"
_LOCK = ".in-use"

_log = logging.getLogger(__name__)


def process_folder(purpose: str) -> Path:
    """Create a temporary folder and return it. It is deleted when the process ends, or if that was killed, by the next
    process that creates such a folder.

    Args:
        purpose: part of the name, such as "ultralytics".

    Raises:
        OSError: there is no place for temporary files.
    """
    _delete_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-"))
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
