"""Helpers of all layouts: checks for required folders and files, reading of lists, and error messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.core.errors import InputError

_LISTED = 6


def require(root: Path, layout: str, names: Iterable[str]) -> None:
    """Raise InputError, listing what `root` holds, unless it holds all of `names`."""
    expected = list(names)
    missing = [name for name in expected if not (root / name).exists()]
    if missing:
        raise InputError(
            f"{root}: expected {join(expected)} of {layout}, but {join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; found {content(root)}; "
            f"name the folder that holds {'them' if len(expected) > 1 else 'it'}"
        )


def content(folder: Path) -> str:
    """Return the first names in `folder`, for an error message."""
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def join(names: Sequence[str]) -> str:
    """Return the names as "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def read_rows(path: Path, *, columns: int | None, example: str) -> list[list[str]]:
    """Read the lines of a text file, split at white space; empty lines are skipped.

    Args:
        columns: number of columns that each line must have; None for two or more.
        example: a valid line, for error messages.

    Raises:
        InputError: the file is missing, or a line has another number of columns; the message names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a text file") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        row = line.split()
        if not row:
            continue
        if len(row) < 2 or (columns is not None and len(row) != columns):
            raise InputError(f"{path}, line {number}: expected a line like {example!r}, but found {line!r}")
        rows.append(row)
    return rows


def require_images(paths: Iterable[Path], list_file: Path) -> None:
    """Raise InputError naming the first missing file of `paths`, which are the files that `list_file` lists."""
    for path in paths:
        if not path.is_file():
            raise InputError(f"{list_file} lists {path}, but there is no such file")
