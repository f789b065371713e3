"""Resident memory of this process."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.core.errors import RunError


def resident_mb() -> float:
    """Return the resident memory of this process in MB (2^20 bytes), from /proc on Linux."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError as error:
        raise RunError("resident memory can only be read on Linux (/proc/self/statm)") from error
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_resident_mb() -> float:
    """Return the largest resident memory that this process has had, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
