"""Sets damaged files of an output folder aside, so that a run can go on without them; nothing is deleted."""

from __future__ import annotations

import csv
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.files.readable_rows import ReadableRows
from pipeline.files.whole_files import FILE_MODE, replacing

DAMAGED_SUFFIX = ".damaged"
#: Names of files and folders that were set aside. They hold data of people, and it is not known of whom.
_ASIDE = (
    "gallery.damaged*",
    "gallery.other_version*",
    f"traj-*{DAMAGED_SUFFIX}*",
    f"events-*{DAMAGED_SUFFIX}*",
    f"remap.csv{DAMAGED_SUFFIX}*",
    f"run.lock{DAMAGED_SUFFIX}*",
)

_log = logging.getLogger(__name__)


def files_put_aside(folder: Path) -> list[Path]:
    """Return the files that were set aside in a folder."""
    return sorted({path for pattern in _ASIDE for path in folder.glob(pattern) if path.is_file()})


def set_aside(path: Path, name: str | None = None) -> Path:
    """Rename a file or folder and return its new path.

    Args:
        name: the new name, to which a number is added if it is taken; None adds `.damaged`.

    Raises:
        OSError: it cannot be renamed.
    """
    target = _free(path.with_name(name or f"{path.name}{DAMAGED_SUFFIX}"))
    os.replace(path, target)
    return target


def repair_rows(rows: ReadableRows, columns: Sequence[str], *, ours: bool) -> None:
    """Replace a damaged CSV file by its readable rows, and keep the damaged file beside it; log both.

    Args:
        rows: of the file; they were read before. Without damage nothing happens.
        ours: whether a run certainly wrote the file; otherwise it stays as it is if nothing in it can be read.

    Raises:
        OSError: for example, the disk is full; the file is unchanged.
    """
    path = rows.path.with_suffix("") if not rows.path.exists() else rows.path
    if not rows.needs_repair:
        return
    if rows.hopeless and not ours:
        _log.warning("%s is not a file of a run%s; it is ignored", path, _why(rows))
        return
    if rows.hopeless:
        target = set_aside(path)
        _log.error("%s cannot be read%s; it was renamed to %s", path, _why(rows), target.name)
        return
    lines = _listed(rows.damaged) or "the header"
    before = path.stat()
    target = _free(path.with_name(f"{path.name}{DAMAGED_SUFFIX}"))
    _duplicate(path, target)
    with replacing(path, mode=FILE_MODE) as part:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        # Its age decides how long it is kept, and whether it is newer than the identities.
        os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
    _log.error(
        "%s is damaged in %s; it now holds the %d rows that can be read, and the damaged file is kept as %s",
        path,
        lines,
        rows.rows,
        target.name,
    )


def _why(rows: ReadableRows) -> str:
    return f" ({rows.problem})" if rows.problem else ""


def _listed(numbers: Sequence[int]) -> str:
    """Return 'line 3', 'lines 3, 4', or with more than five lines their number as well."""
    if not numbers:
        return ""
    shown = ", ".join(map(str, numbers[:5]))
    if len(numbers) == 1:
        return f"line {shown}"
    return f"lines {shown}" if len(numbers) <= 5 else f"{len(numbers)} lines ({shown}, ...)"


def _duplicate(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # not every file system has hard links
        shutil.copyfile(path, target)
        os.chmod(target, FILE_MODE)


def _free(path: Path) -> Path:
    """Return `path`, or if it is taken, the path with the first free number."""
    number = 2
    free = path
    while os.path.lexists(free):
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free
