"""Files that a command writes at the end of its work: whether that will be possible is seen before it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.core.errors import InputError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def prepare_output(path: Path | None, suffixes: Sequence[str] = ()) -> None:
    """Make the folder of `path`, if one was given, and see that a file can be written there.

    Args:
        suffixes: with which the name may end; empty for any.

    Raises:
        InputError: it cannot; names the path and why.
    """
    if path is None:
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{path} cannot be written: its name must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
