"""MOTChallenge sequence folders: seqinfo.ini, and the frames as image files or as one video."""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.sources.images import image_files
from pipeline.sources.suffixes import SEQUENCE_FILE, is_video_name

_LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)")
# More than a day at 100 frames per second.
_MAX_FRAME_NUMBER = 10_000_000


@dataclass(frozen=True)
class MotSequence:
    """The content of a sequence folder.

    Attributes:
        name: from seqinfo.ini, or the folder's name.
        frame_rate: frames per second from seqinfo.ini, None if it does not state them.
        images: the image files in order; empty if `video` is set.
        indices: frame index of each image, from the number in its name: 000301 is index 300, as frame 301 in det.txt
            and gt.txt. If the numbers begin with 0, they are the indices. None if the names have no frame numbers.
        video: the video that replaces the image files.
    """

    name: str
    frame_rate: float | None
    images: list[Path]
    indices: list[int] | None
    video: Path | None


def read_mot_sequence(folder: Path) -> MotSequence:
    """Read `folder`/seqinfo.ini and find the frames.

    Image files in imDir (img1 by default) take precedence over a video in the folder. seqLength is not read: shortened
    copies of sequences keep the original value. A shortened copy may also keep the numbers of the original images, and
    have only some of them.

    Raises:
        InputError: seqinfo.ini cannot be read, or there are no frames, or more than one video.
    """
    file = folder / SEQUENCE_FILE
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8-sig"))
        section = parser["Sequence"]
    except (configparser.Error, UnicodeDecodeError, KeyError) as error:
        raise InputError(f"{file} is not a MOTChallenge seqinfo.ini with a [Sequence] section: {error}") from error
    image_folder = folder / section.get("imDir", "img1")
    images = image_files(image_folder) if image_folder.is_dir() else []
    videos = [] if images else sorted(entry for entry in folder.iterdir() if is_video_name(entry))
    if len(videos) > 1:
        names = ", ".join(video.name for video in videos)
        raise InputError(f"{folder} has no pictures in {image_folder.name} and several videos ({names}): keep one")
    if not images and not videos:
        raise InputError(f"{folder} has neither pictures in {image_folder.name} nor a video: add the frames")
    return MotSequence(
        name=section.get("name", folder.name),
        frame_rate=_frame_rate(file, section.get("frameRate")),
        images=images,
        indices=frame_indices([image.stem for image in images]),
        video=videos[0] if videos else None,
    )


def frame_indices(stems: Sequence[str]) -> list[int] | None:
    """Return the frame indices that rising numbers at the end of names state, counted from 0; see `MotSequence`.

    Args:
        stems: names without suffix, in order. They may differ only in the last number, with or without leading zeros.
    """
    found = [_LAST_NUMBER.fullmatch(stem) for stem in stems]
    matches = [match for match in found if match is not None]
    if not matches or len(matches) < len(stems) or len({(match[1], match[3]) for match in matches}) > 1:
        return None
    numbers = [int(match[2]) for match in matches]
    # A number after a point is the fraction of a time; a larger number is a time, too.
    if matches[0][1].endswith((".", ",")) or numbers[-1] > _MAX_FRAME_NUMBER:
        return None
    if any(after <= before for before, after in pairwise(numbers)):
        return None
    return numbers if numbers[0] == 0 else [number - 1 for number in numbers]


def _frame_rate(file: Path, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        frame_rate = float(text)
    except ValueError:
        frame_rate = float("nan")
    if not 0 < frame_rate < float("inf"):
        raise InputError(f"{file}: frameRate is {text!r}, but must be a positive number of frames per second")
    return frame_rate
