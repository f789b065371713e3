"""Identifies a recording by its content, wherever it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.sources.images import image_files
from pipeline.sources.mot_sequence import read_mot_sequence
from pipeline.sources.pattern import matching_files
from pipeline.sources.suffixes import SEQUENCE_FILE


def source_stamp(source: str) -> dict[str, Any]:
    """Return JSON data: a digest of the content of a video or of all pictures, and the frame rate if a MOTChallenge
    sequence states it.

    Reading the content takes far less time than detecting people in it. A source that does not exist has the digest of
    empty content.

    Raises:
        InputError: as in `read_mot_sequence`.
    """
    place = Path(source)
    if (place / SEQUENCE_FILE).is_file():
        sequence = read_mot_sequence(place)
        files = sequence.images if sequence.video is None else [sequence.video]
        return {"frame_rate": sequence.frame_rate, **_digest(files)}
    if place.is_file():
        return _digest([place])
    if place.is_dir():
        return _digest(image_files(place))
    return _digest(matching_files(source))


def _digest(files: Sequence[Path]) -> dict[str, Any]:
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return {"content": whole.hexdigest()}
