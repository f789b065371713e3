"""Reads small files that an operator names, such as configurations and passwords, without waiting for ever."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path

_BLOCK_BYTES = 65_536
#: Longest wait for what a pipe or a device delivers. Opened as usual, a named pipe without a writer blocks for ever.
WAIT_S = 5.0


def read_small_file(path: Path, largest_bytes: int) -> bytes:
    """Return the content, or its first `largest_bytes` bytes. Pipes such as those of `<(command)` are read to their
    end.

    Raises:
        OSError: the file cannot be read; its `strerror` says why, also if a pipe delivers nothing, or a pipe or device
            no end in time.
    """
    until_s = time.monotonic() + WAIT_S
    # Windows, which has neither flag nor poll, has no named pipes among its files.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        content = bytearray()
        while len(content) < largest_bytes:
            if not stat.S_ISREG(mode):
                _wait(descriptor, until_s, path)
            try:
                block = os.read(descriptor, min(_BLOCK_BYTES, largest_bytes - len(content)))
            except BlockingIOError:
                continue
            if not block:
                break
            content += block
        if not content and stat.S_ISFIFO(mode):
            raise OSError(
                errno.ENODATA, "a pipe that delivers nothing; what a pipe delivers can be read only once"
            )
        return bytes(content)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, until_s: float, path: Path) -> None:
    if not hasattr(select, "poll"):
        return
    waiting = select.poll()  # not select.select, which takes no descriptors above 1023
    waiting.register(descriptor, select.POLLIN)
    left_s = max(until_s - time.monotonic(), 0.0)
    if left_s == 0 or not waiting.poll(left_s * 1000):
        raise TimeoutError(
            errno.ETIMEDOUT, f"it is no file, and whatever writes to it did not end within {WAIT_S:g} s", str(path)
        )
