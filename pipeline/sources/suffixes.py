"""File names of videos and images, and their natural order."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

_log = logging.getLogger(__name__)

#: File that marks a folder as a MOTChallenge sequence.
SEQUENCE_FILE = "seqinfo.ini"
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov"}
    | {".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


# A number with decimals in a name without suffix; not a part of 2026.05.01.
_DECIMAL = re.compile(r"(?<![\d.,])(\d+)[.,](\d+)(?![.,]?\d)")
# Times of day and dates in seconds since 1970 have this many digits before the decimal point.
_UNIX_TIME_DIGITS = 9


def is_video_name(path: Path) -> bool:
    """Return whether the file name has the suffix of a video, and is not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not is_hidden(path)


def is_image_name(path: Path) -> bool:
    """Return whether the file name has the suffix of an image, and is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path)


def is_hidden(path: Path) -> bool:
    """Return whether the name begins with a dot: macOS puts a ._a.jpg without a picture beside a.jpg."""
    return path.name.startswith(".")


def natural_sorted(files: Iterable[Path]) -> list[Path]:
    """Sort by name with numbers compared as numbers: frame 2 comes before frame 10.

    Numbers with decimals, such as Unix times, are compared as such (0.05 comes before 0.1), unless the names show that
    the part behind the point counts on its own (1.9, 1.10). If both are possible and give another order, a warning says
    so.
    """
    listed = list(files)
    plain = sorted(listed, key=lambda file: _natural_key(str(file)))
    if not any(_DECIMAL.search(file.stem) for file in listed):
        return plain
    exact = sorted(listed, key=lambda file: _decimal_key(file))
    if exact == plain:
        return plain
    are_decimals = _are_decimals([file.stem for file in listed])
    if are_decimals is None:
        _log.warning(
            "the order of %d files such as %s is not clear: the digits behind the point count on their own, so 1.9 "
            "comes before 1.10. If they are decimals, write all with the same number of digits",
            len(listed),
            plain[0],
        )
    return exact if are_decimals else plain


def _natural_key(text: str) -> list[tuple[int, str]]:
    return [_key(part) for part in re.split(r"(\d+)", text)]


def _decimal_key(file: Path) -> list[tuple[int, str]]:
    """Return the sort key in which the digits behind a decimal point are compared from the left."""
    parts = _natural_key(str(file.parent))
    place = 0
    for match in _DECIMAL.finditer(file.stem):
        # Text sorts digits behind a point as numbers; the 0 keeps it from being compared as a number.
        parts += [*_natural_key(file.stem[place : match.end(1)]), (0, match[2].rstrip("0"))]
        place = match.end()
    return [*parts, *_natural_key(file.stem[place:] + file.suffix)]


def _are_decimals(stems: list[str]) -> bool | None:
    """Return whether the digits behind a point are decimals; None if the names do not show it."""
    numbers = [match for stem in stems for match in _DECIMAL.finditer(stem)]
    long_time = any(len(match[1]) >= _UNIX_TIME_DIGITS for match in numbers)
    several = [match[2] for match in numbers if len(match[2]) > 1]
    # Programs write 1.1, not 1.10, unless all have the same number of digits, in which case the orders agree.
    if any(one.endswith("0") for one in several):
        return False
    return True if long_time or any(one.startswith("0") for one in several) else None


def _key(part: str) -> tuple[int, str]:
    """Return the sort key of one run of digits or of other characters; `str.isdecimal` is true exactly where `\\d`
    matches."""
    return (int(part), part) if part.isdecimal() else (0, part.lower())
