"""Tells whether files that were read have been replaced since: a purge or a review writes them anew."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.files.run_folder import DECISIONS_NAME, NOTE_NAME, REVIEW_NAME
from pipeline.live.output.segments import segments

_OF_RECORDINGS = ("trajectories.csv", NOTE_NAME, "tracklets.arrow", DECISIONS_NAME, REVIEW_NAME)
_OF_LIVE_RUNS = ("remap.csv",)
#: Of a segment that is being written; when it is full, it is renamed.
PART_SUFFIX = ".part"


class _State(NamedTuple):
    inode: int
    size: int
    mtime_ns: int


class FileStates:
    """The files of a run as they are now, without opening them.

    Rows that a run appends are no reason to read it again; the page says that newer rows are not shown.

    Args:
        is_live: whether `mtmc live` wrote it. Its manifest, which changes all the time, is not looked at.
    """

    def __init__(self, folder: Path, *, is_live: bool) -> None:
        paths = [folder / name for name in (_OF_LIVE_RUNS if is_live else _OF_RECORDINGS)]
        self._states: Mapping[Path, _State | None] = {
            path: _state(path) for path in [*paths, *(segments(folder) if is_live else ())]
        }

    def replaced(self) -> bool:
        """Return whether a file was replaced, cut or deleted since, or is new."""
        return any(_differs(old, _state(path)) for path, old in self._states.items())


def _differs(old: _State | None, new: _State | None) -> bool:
    if old is None or new is None:
        return old is not new
    return new.inode != old.inode or new.size < old.size or (new.size == old.size and new.mtime_ns != old.mtime_ns)


def _state(path: Path) -> _State | None:
    for one in (path, path.with_name(path.name.removesuffix(PART_SUFFIX))):
        with suppress(OSError):
            found = one.stat()
            return _State(found.st_ino, found.st_size, found.st_mtime_ns)
    return None
