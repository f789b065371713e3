"""Video files, decoded with FFmpeg through PyAV, which releases the GIL."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.sources.base import Clock, FrameSource
from pipeline.sources.picture import PictureConverter
from pipeline.sources.presentation_times import PresentationTimes

logger = logging.getLogger(__name__)


class VideoSource(FrameSource):
    """One video file.

    A frame's time is its presentation time after the first frame's, so a variable frame rate is handled correctly.
    If that is missing, does not rise or is implausible (see `PresentationTimes`), the frame counts as one frame
    period after the previous one. A given `frame_rate` replaces all times of the file: time = index / frame_rate.

    Attributes:
        repaired_times: number of implausible time stamps so far.

    Raises:
        InputError: the file is not a video, has no frames, or no frame rate is known.
    """

    def __init__(
        self, camera_id: str, path: str, *, clock: Clock | None = None, frame_rate: float | None = None
    ) -> None:
        try:
            self._container: InputContainer = av.open(path)
        except av.FFmpegError as error:
            raise InputError(
                f"camera {camera_id}: {path} cannot be opened as a video ({error.strerror}): it is not a video, or "
                "was cut off before its index was written; check that it plays, or record it again"
            ) from error
        try:
            if not self._container.streams.video:
                raise InputError(f"camera {camera_id}: {path} has no pictures in it, only {self._stream_kinds()}")
            self._stream: VideoStream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            self._file_rate = float(self._stream.average_rate or self._stream.guessed_rate or frame_rate or 0)
            if self._file_rate <= 0:
                raise InputError(f"camera {camera_id}: {path} does not state its frame rate: give frame_rate")
            self._decoder = self._decoded_frames()
            try:
                first = next(self._decoder, None)
            except av.FFmpegError as error:
                raise InputError(
                    f"camera {camera_id}: no frame of {path} can be decoded ({error.strerror})"
                ) from error
            if first is None:
                raise InputError(f"camera {camera_id}: {path} is a video without any readable frame")
        except InputError:
            self._container.close()
            raise
        # An AVI has no presentation times; if frames are stored out of order, FFmpeg's guess for the first is wrong.
        self._by_index = frame_rate is not None or (self._is_avi and self._stream.codec_context.has_b_frames)
        self._first = first
        self._damage_seen = False
        self._converter = PictureConverter(self._stream.sample_aspect_ratio, f"camera {camera_id}: {path}")
        super().__init__(
            camera_id,
            path,
            frame_count=self._frame_count(),
            frame_rate=frame_rate or self._file_rate,
            size_wh=self._converter.size_wh(first),
            start_utc=_creation_time(self._container.metadata.get("creation_time")),
            clock=clock,
        )
        self._times = PresentationTimes(1 / self.frame_rate)
        self._times_told = False

    def close(self) -> None:
        super().close()
        self._container.close()

    @property
    def _is_avi(self) -> bool:
        return bool(self._container.format.name == "avi")

    def _stream_kinds(self) -> str:
        return ", ".join(sorted({stream.type for stream in self._container.streams})) or "no streams"

    def _decoded_frames(self) -> Iterator[VideoFrame]:
        """Yield every frame that the decoder returns.

        Errors before the first frame are ignored: recordings often begin between two key frames.
        """
        begun = False
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                if begun:
                    raise
                continue
            for frame in frames:
                begun = True
                yield frame

    def _frames(self) -> Iterator[Frame]:
        period_s = 1 / self.frame_rate
        index, picture = 0, self._first
        pictures = _Lookahead(chain([self._first], self._decoder))

        def following_s() -> float | None:
            return None if (following := pictures.peek()) is None else self._stamp_s(following)

        try:
            for index, picture in enumerate(pictures):
                if self._by_index:
                    time_s = index * period_s
                else:
                    time_s = self._times.time_s(self._stamp_s(picture), following_s)
                    self._warn_of_times(index)
                self._warn_of_damage(index, picture)
                yield self._frame(index, time_s, self._converter.bgr(picture))
        except av.FFmpegError as error:
            raise self._broken(index + 1, f"the video cannot be decoded further ({error.strerror})") from error
        self._check_complete(index + 1, picture)

    def _stamp_s(self, picture: VideoFrame) -> float | None:
        """Return the presentation time after the first frame's, in seconds of the file."""
        if picture.pts is None or self._first.pts is None or picture.time_base is None:
            return None
        return float((picture.pts - self._first.pts) * picture.time_base)

    @property
    def repaired_times(self) -> int:
        return self._times.repaired

    def _warn_of_times(self, index: int) -> None:
        """Warn at the first implausible time stamp of the file."""
        if self._times.repaired and not self._times_told:
            self._times_told = True
            logger.warning(
                "camera %s: %s has time stamps that cannot be true, the first at frame index %d; one frame period "
                "after the previous frame is used instead. Give frame_rate if all of its times are wrong",
                self.camera_id,
                self.path,
                index,
            )

    def _warn_of_damage(self, index: int, picture: VideoFrame) -> None:
        """Warn at the first frame of which the decoder had to guess parts."""
        if picture.is_corrupt and not self._damage_seen:
            self._damage_seen = True
            logger.warning(
                "camera %s: %s has damaged pictures, the first at frame index %d", self.camera_id, self.path, index
            )

    def _check_complete(self, frames: int, last: VideoFrame) -> None:
        """Raise if the file ended before its declared end, or in the middle of a frame."""
        declared_s = self._declared_duration_s()
        last_s = self._stamp_s(last)
        if last_s is None:
            end_s = frames / self._file_rate
        else:
            shown_s = float(last.duration * last.time_base) if last.duration and last.time_base else 0.0
            end_s = last_s + max(shown_s, 1 / self._file_rate)
        # Declared durations are rounded, and not every container states how long the last frame is shown.
        if declared_s is not None and not self._times.repaired and end_s < 0.99 * declared_s - 1.0:
            raise self._broken(
                frames, f"the video ends after {end_s:.1f} s, but declares {declared_s:.1f} s: it was cut off"
            )
        if last.is_corrupt:
            raise self._broken(frames, "the video ends in the middle of a picture: it was cut off")

    def _declared_duration_s(self) -> float | None:
        """Return the duration that the file declares; None if it declares none."""
        if self._is_avi:
            # FFmpeg guesses the duration of an AVI without its closing index.
            return self._stream.frames / self._file_rate
        if "matroska" in self._container.format.name:
            # One duration for all streams, including audio, counted from time 0 and not from the first frame.
            if len(self._container.streams) > 1 or not self._container.duration:
                return None
            return self._container.duration / av.time_base - float(
                (self._first.pts or 0) * (self._first.time_base or 0)
            )
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return None

    def _frame_count(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        duration = self._container.duration
        return round(duration / av.time_base * self._file_rate) if duration else None


class _Lookahead:
    """An iterator over frames that can peek at the next one; a decoding error is raised when its frame is due."""

    def __init__(self, pictures: Iterator[VideoFrame]) -> None:
        self._pictures = pictures
        self._next: list[VideoFrame] = []
        self._error: av.FFmpegError | None = None

    def peek(self) -> VideoFrame | None:
        """Return the next frame without consuming it; None if there is none or it cannot be decoded."""
        if not self._next and self._error is None:
            try:
                self._next = list(islice(self._pictures, 1))
            except av.FFmpegError as error:
                self._error = error
        return self._next[0] if self._next else None

    def __iter__(self) -> Iterator[VideoFrame]:
        return self

    def __next__(self) -> VideoFrame:
        if self._next:
            return self._next.pop()
        if self._error is not None:
            raise self._error
        return next(self._pictures)


def _creation_time(text: str | None) -> datetime | None:
    """Return the container's creation_time as UTC; None if it is absent or not in ISO 8601 form."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
