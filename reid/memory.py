"""Keeps freed memory in the process, because torch on a CPU asks for the same large blocks again for every batch."""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3) in glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep up to 2 GiB of freed memory instead of returning it to the system.

    By default, glibc returns each large block at once, and the system then clears its pages again for the next batch.
    In virtual machines, this takes up to half of the time of a batch.

    Returns:
        Whether the C library has this setting; without it, nothing changes.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))
