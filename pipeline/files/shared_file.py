"""Files that several processes change: each waits until the others have finished."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(descriptor: int) -> Generator[None, None, None]:
    """Lock an open file during the block; nothing happens where a system or a file has no locks."""
    if fcntl is None:
        yield
        return
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def locked_path(path: Path) -> Generator[None, None, None]:
    """Lock the file at `path` during the block, which may replace it; OSError if there is none."""
    while True:
        with path.open("rb") as file, locked(file.fileno()):
            # Another process may have replaced the file while this one waited.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield
                return
