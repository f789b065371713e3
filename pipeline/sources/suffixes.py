"""File names of videos and images, and their natural order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

#: File that marks a folder as a MOTChallenge sequence.
SEQUENCE_FILE = "seqinfo.ini"
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov"}
    | {".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def is_video_name(path: Path) -> bool:
    """Return whether the file name has the suffix of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_image_name(path: Path) -> bool:
    """Return whether the file name has the suffix of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def natural_sorted(files: Iterable[Path]) -> list[Path]:
    """Sort by name with numbers compared as numbers: frame 2 comes before frame 10."""
    return sorted(files, key=lambda file: [_key(part) for part in re.split(r"(\d+)", str(file))])


def _key(part: str) -> tuple[int, str]:
    """Return the sort key of one run of digits or of other characters; `str.isdecimal` is true exactly where `\\d`
    matches."""
    return (int(part), part) if part.isdecimal() else (0, part.lower())
