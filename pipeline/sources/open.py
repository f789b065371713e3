"""Opens a recording of one camera: a video, image files, or a MOTChallenge sequence."""

from __future__ import annotations

import glob
import math
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.sources.base import BrokenSource, Clock, FrameSource
from pipeline.sources.images import ImageSource, image_files
from pipeline.sources.mot_sequence import read_mot_sequence
from pipeline.sources.suffixes import SEQUENCE_FILE, natural_sorted
from pipeline.sources.video import VideoSource

__all__ = ["BrokenSource", "FrameSource", "open_source"]


def open_source(
    camera_id: str,
    path: str,
    *,
    start_s: float = 0.0,
    clock_rate: float = 1.0,
    frame_rate: float | None = None,
) -> FrameSource:
    """Open a recording; its first frame is read here, so that unreadable input fails before the run begins.

    A frame's `time_s` is start_s + (time in the recording) * clock_rate.

    Args:
        camera_id: name of the camera, as in the configuration.
        path: a video file, a folder of image files, a pattern such as "cam1/*.jpg", or a MOTChallenge sequence folder
            (seqinfo.ini with image files in imDir, or with one video instead).
        start_s: when the recording begins on the clock that all cameras share, in seconds.
        clock_rate: seconds of that clock per second of the recording; other than 1 for a camera that drifts.
        frame_rate: replaces the frames per second that the recording states; needed for image files without
            seqinfo.ini.

    Raises:
        InputError: there is nothing to read at `path`, its frame rate is not known, or a number is out of range.
    """
    _check_clock(camera_id, start_s, clock_rate, frame_rate)
    clock = Clock(start_s=start_s, rate=clock_rate)
    place = Path(path)
    if (place / SEQUENCE_FILE).is_file():
        sequence = read_mot_sequence(place)
        frame_rate = frame_rate or sequence.frame_rate
        if sequence.video is not None:
            return VideoSource(camera_id, str(sequence.video), clock=clock, frame_rate=frame_rate)
        files = sequence.images
    elif place.is_file():
        return VideoSource(camera_id, path, clock=clock, frame_rate=frame_rate)
    elif place.is_dir():
        files = image_files(place)
        if not files:
            raise InputError(
                f"camera {camera_id}: the folder {path} holds no pictures (.jpg, .png, ...) and no "
                f"{SEQUENCE_FILE}; give a video file or a folder with the frames as pictures"
            )
    elif glob.has_magic(path):
        files = natural_sorted(Path(name) for name in glob.glob(path, recursive=True) if Path(name).is_file())
        if not files:
            raise InputError(f"camera {camera_id}: no file matches the pattern {path}")
    else:
        raise InputError(f"camera {camera_id}: {path} does not exist; check the path")
    if frame_rate is None:
        raise InputError(f"camera {camera_id}: the pictures of {path} have no frame rate: give frame_rate")
    return ImageSource(camera_id, path, files, frame_rate=frame_rate, clock=clock)


def _check_clock(camera_id: str, start_s: float, clock_rate: float, frame_rate: float | None) -> None:
    if not math.isfinite(start_s):
        raise InputError(f"camera {camera_id}: start_s is {start_s}, but must be a finite number of seconds")
    for name, value in (("clock_rate", clock_rate), ("frame_rate", frame_rate)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise InputError(f"camera {camera_id}: {name} is {value}, but must be a finite number above 0")
