"""Checks before a command starts its work that it can write its output files at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.core.errors import InputError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def prepare_output(path: Path | None, suffixes: Sequence[str] = ()) -> None:
    """Create the folder of `path` and check that a file can be written there; do nothing for None.

    Args:
        suffixes: allowed ends of the name; empty for any.

    Raises:
        InputError: the file cannot be written; the message names the path and the reason.
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
