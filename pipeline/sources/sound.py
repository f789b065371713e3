"""Compares the length of a video with that of its sound, whose rate is hardly ever wrong."""

from __future__ import annotations

import re

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

# Sound may begin and end this much earlier or later than the video.
_SHARE = 0.05
_SLACK_S = 1.0
# As Matroska writes it for each stream.
_LENGTH = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def sound_problem(container: InputContainer, video: VideoStream, frame_rate: float) -> str | None:
    """Return a sentence if video and sound of a file last for different times, as with a wrong frame rate; else None.

    Recorders that drop frames, or write a rate that they do not reach, make videos that play too fast.

    Args:
        frame_rate: frames per second of the video, as declared.
    """
    video_s = _length_s(container, video)
    sound_s = max((_length_s(container, stream) for stream in container.streams.audio), default=0.0)
    if not video_s or not sound_s or abs(sound_s - video_s) <= _SHARE * video_s + _SLACK_S:
        return None
    return (
        f"the video lasts {video_s:.1f} s by its frame rate or times, but its sound {sound_s:.1f} s; if neither was "
        f"cut off, the times of the video are wrong: give frame_rate {frame_rate * video_s / sound_s:.4g}"
    )


def _length_s(container: InputContainer, stream: VideoStream | AudioStream) -> float:
    """Return the declared length of a stream in seconds; 0 if it is unknown."""
    # First: for Matroska, FFmpeg takes the length of the longest stream for each.
    length = _LENGTH.fullmatch(stream.metadata.get("DURATION", ""))
    if length is not None:
        return int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3])
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.format.name == "avi" and stream.frames and stream.time_base:
        return float(stream.frames * stream.time_base)
    return 0.0
