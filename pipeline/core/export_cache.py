"""Keeps networks that were exported for a faster runtime in the user's cache folder, for later runs."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

CACHE_VARIABLE = "MTMC_CACHE"

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder that MTMC_CACHE names, else mtmc in XDG_CACHE_HOME, else ~/.cache/mtmc."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mtmc"


def cached_export(what: str, key: Mapping[str, str], make: Callable[[Path], None]) -> Path:
    """Return the folder that `make` filled for this key, now or in an earlier run.

    An entry appears by renaming, so a reader sees it complete or not at all. If two runs create it at the same
    time, the later one uses the entry of the earlier. If the cache cannot be written, the entry is in a temporary
    folder until the process ends.

    Args:
        what: name of the network for the log message, such as a file name.
        key: everything that the result depends on: hash of the weights, versions, precision.
        make: called with an empty folder, which it fills.
    """
    text = "\n".join(f"{name}={value}" for name, value in sorted(key.items()))
    entry = cache_folder() / hashlib.sha256(text.encode()).hexdigest()[:32]
    if entry.is_dir():
        return entry
    logger.warning("preparing %s for the CPU, once; the result is kept in %s", what, entry)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        # Not `mkdtemp`: only the owner can read its folders, but a cache may have several users.
        partial = entry.with_name(f"{entry.name}.{secrets.token_hex(8)}.partial")
        partial.mkdir()
    except OSError as error:
        return _temporary(error, make)
    try:
        make(partial)
        (partial / "key.txt").write_text(f"{text}\n")
        partial.rename(entry)
    except OSError as error:
        if entry.is_dir():  # another run was faster
            return entry
        shutil.rmtree(partial, ignore_errors=True)  # frees space if the disk is full
        return _temporary(error, make)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return entry


def _temporary(error: OSError, make: Callable[[Path], None]) -> Path:
    logger.warning(
        "the cache %s cannot be written (%s), so the next run prepares it again; set %s to another folder",
        cache_folder(),
        error.strerror or error,
        CACHE_VARIABLE,
    )
    folder = Path(tempfile.mkdtemp(prefix="mtmc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make(folder)
    return folder
