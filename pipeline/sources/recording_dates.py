"""When a recording began, from the dates in its file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer

from pipeline.core.errors import InputError
from pipeline.sources.mot_sequence import read_mot_sequence
from pipeline.sources.suffixes import SEQUENCE_FILE

#: A date and time, or how to take it from the file: `container` takes its creation time as the beginning unless tags
#: say otherwise, `container_end` takes it as the end.
StartUtc = datetime | Literal["container", "container_end"]

_APPLE_START = "com.apple.quicktime.creationdate"
_ANDROID = "com.android."
# The stated beginning may differ from the end minus the length by this time, and this share of the length. Dates in
# files are whole seconds.
_LARGEST_DIFFERENCE_S = 2.0
_LARGEST_SHARE = 0.01

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordingDates:
    """The dates that a file states.

    Attributes:
        created_utc: its creation time. This is the beginning or the end of the recording, depending on the camera.
        began_utc: the beginning, from a tag with this meaning.
        created_at_end: whether tags show that the creation time is the end.
        duration_s: seconds in the time of the file; None if unknown.
    """

    created_utc: datetime | None = None
    began_utc: datetime | None = None
    created_at_end: bool = False
    duration_s: float | None = None

    @classmethod
    def of(cls, container: InputContainer) -> RecordingDates:
        """Read the dates of an open file."""
        duration = container.duration
        return cls.of_metadata(container.metadata, duration / av.time_base if duration and duration > 0 else None)

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, str], duration_s: float | None) -> RecordingDates:
        """Read the dates from the tags of a file."""
        tags = {key.lower(): value for key, value in metadata.items()}
        return cls(
            created_utc=_utc(tags.get("creation_time")),
            began_utc=_utc(tags.get(_APPLE_START)),
            # Android writes the time at which it closes the file.
            created_at_end=any(key.startswith(_ANDROID) for key in tags),
            duration_s=duration_s,
        )

    def start_utc(self, *, at_end: bool = False, rate: float = 1.0) -> datetime | None:
        """Return when the recording began; None if the file does not state it.

        Args:
            at_end: take the creation time as the end.
            rate: true seconds per second of the file.
        """
        if not at_end and self.began_utc is not None:
            return self.began_utc
        if self.created_utc is None or not (at_end or self.created_at_end):
            return self.created_utc
        return None if self.duration_s is None else self.created_utc - timedelta(seconds=self.duration_s * rate)


def start_utc_of(
    camera_id: str,
    path: str,
    start_utc: StartUtc | None,
    *,
    clock_rate: float = 1.0,
    frame_rate: float | None = None,
    warn: Callable[[str], None] = _log.warning,
) -> datetime | None:
    """Return the date and time of a recording's first frame, from its file if `start_utc` says so.

    Args:
        path: video file, or MOTChallenge sequence with a video.
        clock_rate, frame_rate: as in `pipeline.sources.open.open_source`; both change the length of the recording.
        warn: takes a line if the meaning of the creation time had to be guessed.

    Raises:
        InputError: the file cannot be read or does not state the time.
    """
    if start_utc is None or isinstance(start_utc, datetime):
        return start_utc
    dates, file_rate = _read(camera_id, path)
    rate = clock_rate * (file_rate / frame_rate if frame_rate and file_rate else 1.0)
    at_end = start_utc == "container_end"
    start = dates.start_utc(at_end=at_end, rate=rate)
    if start is None:
        missing = "when it was recorded" if dates.created_utc is None else "how long it is"
        raise InputError(
            f"camera {camera_id}: {path} does not state {missing}; give start_utc as a date and time, such as "
            "2026-05-01T10:00:00Z"
        )
    if at_end and dates.began_utc is not None:
        apart_s = (start - dates.began_utc).total_seconds()
        if abs(apart_s) > _LARGEST_DIFFERENCE_S + _LARGEST_SHARE * (dates.duration_s or 0.0):
            warn(
                f"camera {camera_id}: {path} states that it began at {dates.began_utc}, but if its creation time is "
                f"the end, it began at {start}, {abs(apart_s):.0f} s {'later' if apart_s > 0 else 'earlier'}: the "
                "creation time is not the end, or the length (frame_rate, clock_rate) is wrong. `start_utc: container` "
                "uses the stated beginning"
            )
    if not at_end and dates.began_utc is None:
        advice = (
            "if it is the beginning, give start_utc as a date and time"
            if dates.created_at_end
            else "many phones and cameras write the end, for which start_utc is container_end"
        )
        warn(
            f"camera {camera_id}: the creation time of {path}, {dates.created_utc}, counts as the "
            f"{'end' if dates.created_at_end else 'beginning'} of the recording, which began at {start}; {advice}"
        )
    return start.astimezone(UTC)


def _read(camera_id: str, path: str) -> tuple[RecordingDates, float]:
    """Return the dates, and the frames per second that the file states (0 if it does not)."""
    place = Path(path)
    if (place / SEQUENCE_FILE).is_file():
        place = read_mot_sequence(place).video or place
    if not place.is_file():
        raise InputError(
            f"camera {camera_id}: {path} is no video file, so it does not state when it was recorded; give start_utc "
            "as a date and time"
        )
    try:
        with av.open(str(place)) as container:
            rates = [float(stream.average_rate or 0) for stream in container.streams.video]
            return RecordingDates.of(container), max(rates, default=0.0)
    except av.FFmpegError as error:
        raise InputError(
            f"camera {camera_id}: {path} cannot be opened as a video ({error.strerror}); check that it plays"
        ) from error


def _utc(text: str | None) -> datetime | None:
    """Return a date and time in ISO 8601 form as UTC; None if it is absent or has another form."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
