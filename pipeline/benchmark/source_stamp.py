"""What tells one version of a recording from another that lies at the same path."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from pipeline.sources.images import image_files
from pipeline.sources.mot_sequence import SEQUENCE_FILE, read_mot_sequence


def source_stamp(source: str) -> dict[str, Any]:
    """Of a video its size in bytes and the time of its last change in ns, of pictures their names and sizes; for JSON.

    Contents are not read: of hours of video that would take minutes. Nothing is said of a source that does not exist.

    Raises:
        InputError: as `read_mot_sequence`.
    """
    place = Path(source)
    if (place / SEQUENCE_FILE).is_file():
        sequence = read_mot_sequence(place)
        frames = _pictures(sequence.images) if sequence.video is None else _video(sequence.video)
        return {"frame_rate": sequence.frame_rate, **frames}
    if place.is_file():
        return _video(place)
    if place.is_dir():
        return _pictures(image_files(place))
    return _pictures([Path(name) for name in glob.glob(source, recursive=True) if Path(name).is_file()])


def _video(file: Path) -> dict[str, Any]:
    status = file.stat()
    return {"bytes": status.st_size, "changed_ns": status.st_mtime_ns}


def _pictures(files: list[Path]) -> dict[str, Any]:
    return {"bytes": {str(file): file.stat().st_size for file in files}}
