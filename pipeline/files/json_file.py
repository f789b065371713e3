"""Writes figures and tables to a file on request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError


def write_json(path: Path | None, figures: Mapping[str, Any]) -> None:
    """Write `figures` as JSON to `path`; do nothing for None. InputError if the file cannot be written."""
    write_text(path, json.dumps(figures, indent=1) + "\n")


def write_text(path: Path | None, text: str) -> None:
    """Write `text` to `path`; do nothing for None. InputError if the file cannot be written."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
