"""Opens a recording of one camera: a video, image files, or a MOTChallenge sequence."""

from __future__ import annotations

import logging
import math
from functools import partial
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.sources.base import BrokenSource, Clock, FrameSource
from pipeline.sources.images import ImageSource, image_files
from pipeline.sources.mot_sequence import MotSequence, read_mot_sequence
from pipeline.sources.pattern import is_pattern, matching_files
from pipeline.sources.picture_size import MAX_PICTURE_PX
from pipeline.sources.suffixes import SEQUENCE_FILE, is_image_name, is_video_name
from pipeline.sources.video import VideoSource

__all__ = ["BrokenSource", "FrameSource", "open_source"]

# Cameras that watch people have fewer frames per second.
_FASTEST_RATE = 300.0
# 29.97 and 30 frames per second are the same to people who write files.
_SAME_RATE = 0.01

_log = logging.getLogger(__name__)


def open_source(
    camera_id: str,
    path: str,
    *,
    start_s: float = 0.0,
    clock_rate: float = 1.0,
    frame_rate: float | None = None,
    display_size_wh: tuple[int, int] | None = None,
    max_picture_px: int = MAX_PICTURE_PX,
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
        display_size_wh: (width, height) in pixels to which frames are stretched; None keeps their size, with square
            pixels.
        max_picture_px: recordings with more pixels per frame are refused.

    Raises:
        InputError: there is nothing to read at `path`, its frame rate is not known, its frames are too large, or a
            number is out of range.
    """
    _check_clock(camera_id, start_s, clock_rate, frame_rate)
    source = _opened(
        camera_id,
        path,
        Clock(start_s=start_s, rate=clock_rate),
        frame_rate=frame_rate,
        display_size_wh=display_size_wh,
        max_picture_px=max_picture_px,
    )
    if source.frame_rate > _FASTEST_RATE:
        _log.warning(
            "camera %s: %s has %.4g frames per second, which is unlikely; all times follow from it. frame_rate of the "
            "camera replaces it",
            camera_id,
            path,
            source.frame_rate,
        )
    return source


def _opened(
    camera_id: str,
    path: str,
    clock: Clock,
    *,
    frame_rate: float | None,
    display_size_wh: tuple[int, int] | None,
    max_picture_px: int,
) -> FrameSource:
    """Open a recording; see `open_source`."""
    open_video = partial(
        VideoSource,
        camera_id,
        clock=clock,
        display_size_wh=display_size_wh,
        max_picture_px=max_picture_px,
    )
    place = Path(path)
    indices = None
    if (place / SEQUENCE_FILE).is_file():
        sequence = read_mot_sequence(place)
        if sequence.video is not None:
            video = open_video(str(sequence.video), frame_rate=frame_rate or sequence.frame_rate)
            if frame_rate is None and abs(video.frame_rate / video.own_frame_rate - 1) > _SAME_RATE:
                _log.warning(
                    "camera %s: %s states %.4g frames per second, which is used, but %s itself has %.4g. frame_rate of "
                    "the camera replaces both",
                    camera_id,
                    place / SEQUENCE_FILE,
                    video.frame_rate,
                    sequence.video.name,
                    video.own_frame_rate,
                )
            return video
        frame_rate = frame_rate or sequence.frame_rate
        files, indices = sequence.images, sequence.indices
        _say_numbers(camera_id, path, sequence)
    elif place.is_file():
        if is_image_name(place):
            raise InputError(
                f"camera {camera_id}: {path} is one picture, not a recording. For a pattern, write quotes, so that "
                f"the shell does not replace it by the names of the files: '{place.parent / f'*{place.suffix}'}'; a "
                "folder of pictures needs no pattern"
            )
        return open_video(path, frame_rate=frame_rate)
    elif place.is_dir():
        files = image_files(place)
        if not files:
            raise InputError(
                f"camera {camera_id}: the folder {path} holds no pictures (.jpg, .png, ...) and no "
                f"{SEQUENCE_FILE}; give a video file or a folder with the frames as pictures"
            )
    elif is_pattern(path):
        files = matching_files(path)
        if not files:
            raise InputError(f"camera {camera_id}: no file matches the pattern {path}")
        files = _pictures_of(camera_id, path, files)
    else:
        raise InputError(f"camera {camera_id}: {path} does not exist; check the path")
    if frame_rate is None:
        raise InputError(f"camera {camera_id}: the pictures of {path} have no frame rate: give frame_rate")
    if len(files) == 1:
        _log.warning(
            "camera %s: %s is only one picture, %s: nobody is tracked in it", camera_id, path, files[0].name
        )
    return ImageSource(
        camera_id,
        path,
        files,
        frame_rate=frame_rate,
        indices=indices,
        clock=clock,
        display_size_wh=display_size_wh,
        max_picture_px=max_picture_px,
    )


def _pictures_of(camera_id: str, pattern: str, files: list[Path]) -> list[Path]:
    """Return the pictures among the files of a pattern; all files if none has the name of a picture.

    Raises:
        InputError: the pattern is one of videos.
    """
    videos = sum(is_video_name(file) for file in files)
    pictures = [file for file in files if is_image_name(file)]
    if videos and not pictures:
        raise InputError(
            f"camera {camera_id}: the pattern {pattern} matches {videos} videos, but a pattern is for the pictures of "
            "one camera. Give each video, or their folder: every video is then a camera"
        )
    if pictures and len(pictures) < len(files):
        _log.warning(
            "camera %s: %d of %d files that match %s have no name of a picture and are left out",
            camera_id,
            len(files) - len(pictures),
            len(files),
            pattern,
        )
    return pictures or files


def _say_numbers(camera_id: str, path: str, sequence: MotSequence) -> None:
    """Log how frames are counted where that is not from the first image on, without gaps."""
    if sequence.indices is None:
        _log.warning(
            "camera %s: the pictures of %s have no frame numbers in their names, such as %s: they are counted from 1. "
            "Detections and ground truth must count them in the same way",
            camera_id,
            path,
            sequence.images[0].name,
        )
        return
    first, last, count = sequence.indices[0], sequence.indices[-1], len(sequence.indices)
    if (first, last) != (0, count - 1):
        _log.warning(
            "camera %s: %s has %d pictures, %s to %s: the numbers in their names are the frame numbers, also for the "
            "frame rate",
            camera_id,
            path,
            count,
            sequence.images[0].name,
            sequence.images[-1].name,
        )


def _check_clock(camera_id: str, start_s: float, clock_rate: float, frame_rate: float | None) -> None:
    if not math.isfinite(start_s):
        raise InputError(f"camera {camera_id}: start_s is {start_s}, but must be a finite number of seconds")
    for name, value in (("clock_rate", clock_rate), ("frame_rate", frame_rate)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise InputError(f"camera {camera_id}: {name} is {value}, but must be a finite number above 0")
