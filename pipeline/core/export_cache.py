"""Keeps networks that were exported for a faster runtime in the user's cache folder, for later runs."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.process_folder import process_folder

CACHE_VARIABLE = "MTMC_CACHE"
#: Networks that are kept; each has 45 to 90 MB. Those that were not used for the longest time are deleted.
KEPT_NETWORKS = 8
_NETWORK = re.compile(r"[0-9a-f]{32}")
_UNFINISHED_SUFFIX = ".partial"
# Everything that this program puts into the cache; the folder may hold other files, which are not touched.
_OWN = re.compile(rf"{_NETWORK.pattern}(\.\w+{re.escape(_UNFINISHED_SUFFIX)})?|benchmark")
# An unfinished network that is older was left by a killed process.
_ABANDONED_S = 86_400.0
_NAME_FILE = "name.txt"

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder that MTMC_CACHE names, else mtmc in XDG_CACHE_HOME, else ~/.cache/mtmc."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mtmc"


@dataclass(frozen=True)
class CacheEntry:
    """A file or folder in the cache.

    Attributes:
        path: where it is.
        name: what it is, such as "the detector person.pt".
        size_bytes: of all its files.
        used_s: when it was last used, Unix seconds.
    """

    path: Path
    name: str
    size_bytes: int
    used_s: float


def cache_entries() -> list[CacheEntry]:
    """Return everything that this program has put into the cache folder, what was used last first."""
    folder = cache_folder()
    paths = [path for path in folder.iterdir() if _OWN.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(map(_entry, paths), key=lambda entry: (-entry.used_s, entry.path))


def clear_cache() -> list[CacheEntry]:
    """Delete the entries of the cache and return them; running processes keep what they have open.

    Raises:
        OSError: something cannot be deleted.
    """
    entries = cache_entries()
    for entry in entries:
        if entry.path.is_dir() and not entry.path.is_symlink():
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink()
    return entries


def _entry(path: Path) -> CacheEntry:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    name = path.name
    with suppress(OSError, UnicodeDecodeError):  # an entry of an earlier version has no name
        name = (path / _NAME_FILE).read_text(encoding="utf-8").strip()
    size_bytes, used_s = 0, 0.0
    with suppress(FileNotFoundError):  # deleted meanwhile
        size_bytes = sum(each.stat().st_size for each in files)
        used_s = path.stat().st_mtime
    return CacheEntry(path, name, size_bytes, used_s)


def cached_export(what: str, key: Mapping[str, str], make: Callable[[Path], None]) -> Path:
    """Return the folder that `make` filled for this key, now or in an earlier run.

    An entry appears by renaming, so a reader sees it complete or not at all. If two runs create it at the same
    time, the later one uses the entry of the earlier. If the cache cannot be written, the entry is in a temporary
    folder until the process ends. The cache keeps the `KEPT_NETWORKS` that were used last.

    Args:
        what: name of the network for the log message, such as a file name.
        key: everything that the result depends on: hash of the weights, versions, precision.
        make: called with an empty folder, which it fills.
    """
    text = "\n".join(f"{name}={value}" for name, value in sorted(key.items()))
    entry = cache_folder() / hashlib.sha256(text.encode()).hexdigest()[:32]
    if entry.is_dir():
        with suppress(OSError):  # a cache of another user; its owner's runs decide what is kept
            os.utime(entry)
        return entry
    logger.warning("preparing %s for the CPU, once; the result is kept in %s", what, entry)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        # Not `mkdtemp`: only the owner can read its folders, but a cache may have several users.
        partial = entry.with_name(f"{entry.name}.{secrets.token_hex(8)}{_UNFINISHED_SUFFIX}")
        partial.mkdir()
    except OSError as error:
        return _temporary(error, make)
    try:
        make(partial)
        (partial / "key.txt").write_text(f"{text}\n")
        (partial / _NAME_FILE).write_text(f"{what}\n", encoding="utf-8")
        _sync(partial)
        partial.rename(entry)
    except OSError as error:
        if entry.is_dir():  # another run was faster
            return entry
        shutil.rmtree(partial, ignore_errors=True)  # frees space if the disk is full
        return _temporary(error, make)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _delete_old(entry.parent)
    return entry


def _sync(folder: Path) -> None:
    """Force the files in a folder to disk: after a power failure, a network is whole or not there."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _delete_old(folder: Path) -> None:
    """Delete all but the last used networks, and unfinished ones that killed processes left."""
    entries = cache_entries()
    networks = [entry for entry in entries if _NETWORK.fullmatch(entry.path.name)]
    abandoned = [
        entry
        for entry in entries
        if entry.path.name.endswith(_UNFINISHED_SUFFIX) and time.time() - entry.used_s > _ABANDONED_S
    ]
    for entry in (*networks[KEPT_NETWORKS:], *abandoned):
        shutil.rmtree(entry.path, ignore_errors=True)  # of another user: the owner's runs delete it
        logger.info("deleted %s from the cache %s: it was not used for the longest time", entry.name, folder)


def _temporary(error: OSError, make: Callable[[Path], None]) -> Path:
    logger.warning(
        "the cache %s cannot be written (%s), so the next run prepares it again; set %s to another folder",
        cache_folder(),
        error.strerror or error,
        CACHE_VARIABLE,
    )
    folder = process_folder("network")
    make(folder)
    return folder
