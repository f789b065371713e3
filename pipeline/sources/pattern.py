"""Files that match a pattern such as cam1/*.jpg."""

from __future__ import annotations

import glob
from pathlib import Path

from pipeline.sources.suffixes import natural_sorted


def is_pattern(path: str) -> bool:
    """Return whether a path contains *, ? or [...]."""
    return glob.has_magic(path)


def matching_files(pattern: str) -> list[Path]:
    """Return the files that match `pattern`, in natural order; hidden ones only if the pattern says so.

    Brackets in the names of existing folders are part of the name: pics[1]/*.jpg are the files in the folder pics[1].
    """
    found = (Path(name) for name in glob.glob(_with_literal_folders(pattern), recursive=True))
    return natural_sorted(file for file in found if file.is_file())


def _with_literal_folders(pattern: str) -> str:
    """Return `pattern` with its leading folders escaped as far as they exist."""
    first, *rest = Path(pattern).parts
    literal, escaped = Path(first), Path(glob.escape(first) if Path(first).exists() else first)
    for part in rest:
        literal /= part
        escaped /= glob.escape(part) if literal.exists() else part
    return str(escaped)
