"""File names of videos and images."""

from __future__ import annotations

from pathlib import Path

#: Says that a folder is a MOTChallenge sequence.
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
