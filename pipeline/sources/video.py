"""Video files, decoded with FFmpeg through PyAV, which releases the GIL."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice, pairwise
from statistics import median_low

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.sources.base import Clock, FrameSource
from pipeline.sources.picture import PictureConverter
from pipeline.sources.picture_size import MAX_PICTURE_PX, too_large
from pipeline.sources.presentation_times import PresentationTimes
from pipeline.sources.sound import sound_problem
from pipeline.sources.video_stream import (
    bare_problem,
    bare_rate,
    decoder_options,
    decoding_problem,
    lacks_presentation_times,
    select_video_stream,
    size_problem,
)

# Packets whose times tell the frame rate. With 60, the damage at the end of a short file was sometimes not reported.
_PACKETS_AHEAD = 12
# The end of an MPEG-TS is checked from its last key frame on, if that is not further away than this, in packets.
_LONGEST_CHECK = 300
_LEAST_STEPS = 2
# Without an index, as in an MPEG-TS, FFmpeg may go to a place after the last key frame before a moment.
_STEPS_BACK_S = (0, 2, 10, 60, 600)
# No recording is longer; FFmpeg's times have 64 bits.
_FARTHEST_S = 1e8
# A stated rate that differs from the measured one by more than this factor is not used.
_RATE_FACTOR = 2.5

logger = logging.getLogger(__name__)


class VideoSource(FrameSource):
    """One video file.

    A frame's time is its presentation time after the first frame's, so a variable frame rate is handled correctly.
    If that is missing, does not rise or is implausible (see `PresentationTimes`), the frame counts as one frame
    period after the previous one. A given `frame_rate` replaces all times of the file: time = index / frame_rate.

    Attributes:
        repaired_times: number of implausible time stamps so far.

    Raises:
        InputError: the file is not a video, has no frames, no frame rate is known, or its pictures are too large.
    """

    def __init__(
        self,
        camera_id: str,
        path: str,
        *,
        clock: Clock | None = None,
        frame_rate: float | None = None,
        display_size_wh: tuple[int, int] | None = None,
        max_picture_px: int = MAX_PICTURE_PX,
    ) -> None:
        self._max_picture_px = max_picture_px
        try:
            self._container: InputContainer = av.open(path, options=decoder_options(max_picture_px))
        except av.FFmpegError as error:
            raise InputError(
                f"camera {camera_id}: {path} cannot be opened as a video ({error.strerror}): it is not a video, or "
                "was cut off before its index was written; check that it plays, or record it again"
            ) from error
        try:
            name = f"camera {camera_id}: {path}"
            stream = select_video_stream(self._container, name, max_picture_px)
            if stream is None:
                raise InputError(f"{name} has no pictures in it, only {self._stream_kinds()}")
            self._stream: VideoStream = stream
            self._stream.thread_type = "AUTO"
            problem = size_problem(stream, max_picture_px)
            if problem is not None:
                raise InputError(f"{name}: {problem}")
            self._packet: Packet[VideoStream] | None = None
            self._ahead_error: av.FFmpegError | None = None
            self._packets = self._container.demux(self._stream)
            self._checks_end = self._container.format.name == "mpegts"
            self._since_key: list[Packet[VideoStream]] = []
            self._ahead = self._read_ahead()
            bare = bare_rate(self._container, self._stream)
            if bare is not None and frame_rate is None:
                logger.warning("%s: %s", name, bare_problem(*bare))
            rate = self._stream.average_rate or self._stream.guessed_rate
            self._stated_rate = float(rate or 0) if bare is None else bare[0]
            plausible_rate = self._stated_rate if bare else self._plausible_rate(name, said=frame_rate is None)
            self._file_rate = plausible_rate or frame_rate or 0.0
            if self._file_rate <= 0:
                raise InputError(f"camera {camera_id}: {path} does not state its frame rate: give frame_rate")
            self._decoder = self._decoded_frames()
            try:
                first = next(self._decoder, None)
            except av.FFmpegError as error:
                raise InputError(
                    f"camera {camera_id}: no frame of {path} can be decoded ({self._why(error)})"
                ) from error
            if first is None:
                unknown = "" if stream.width else ": it is damaged, or above runtime.max_picture_megapixels"
                raise InputError(f"camera {camera_id}: {path} is a video without any readable frame{unknown}")
            self._converter = PictureConverter(
                self._stream.sample_aspect_ratio, name, display_size_wh=display_size_wh
            )
            problem = too_large(self._converter.size_wh(first), max_picture_px)
            if problem is not None:
                raise InputError(f"{name}: {problem}")
        except InputError:
            self._container.close()
            raise
        self._by_index = frame_rate is not None or bare is not None
        self._by_decoding_time = lacks_presentation_times(self._container)
        self._first = first
        self._damage_seen = False
        self._entered = first
        self._entered_at_s: float | None = None
        super().__init__(
            camera_id,
            path,
            frame_count=self._frame_count(),
            frame_rate=frame_rate or self._file_rate,
            size_wh=self._converter.size_wh(first),
            clock=clock,
        )
        self._times = PresentationTimes(1 / self.frame_rate)
        self._times_told = False
        problem = sound_problem(self._container, self._stream, self._file_rate)
        if frame_rate is None and problem is not None:
            logger.warning("%s: %s", name, problem)

    def close(self) -> None:
        super().close()
        self._container.close()

    def seek(self, source_time_s: float) -> bool:
        time_base, first = self._stream.time_base, self._stamp(self._first)
        # Times of these files are counted from their first frame, or belong to packets in another order.
        if self._by_index or self._is_reordered() or time_base is None or first is None:
            return False
        target = first + int(min(max(source_time_s, 0.0), _FARTHEST_S) / time_base)
        try:
            entered = None
            for back_s in _STEPS_BACK_S:
                entered = self._enter(target - int(back_s / time_base))
                if entered is not None and self._is_before(entered, target):
                    break
            else:
                if self._by_decoding_time:
                    entered = self._enter(first)
        except av.FFmpegError as error:
            raise self._broken(
                0, f"the video cannot be read at {source_time_s:.1f} s ({error.strerror})"
            ) from error
        if entered is None:
            raise self._broken(0, f"the video has no frame at {source_time_s:.1f} s")
        if (self._stamp(entered) or 0) > target:
            raise self._broken(0, f"the video cannot be entered before {source_time_s:.1f} s")
        self._entered = entered
        self._entered_at_s = max(self._stamp_s(entered) or 0.0, 0.0)
        self._times.begin_at(self._entered_at_s)
        return True

    def _enter(self, stamp: int) -> VideoFrame | None:
        """Go to the key frame before a presentation time, in units of the stream; return the first frame there."""
        self._container.seek(stamp, stream=self._stream)
        self._ahead, self._ahead_error = [], None
        self._since_key.clear()
        self._packets = self._container.demux(self._stream)
        self._decoder = (picture for picture in self._decoded_frames() if self._stamp(picture) is not None)
        return next(self._decoder, None)

    def _is_before(self, picture: VideoFrame, target: int) -> bool:
        """Return whether a picture is not later than a presentation time, in units of the stream, and is complete.

        In the index of some AVI files every frame is a key frame.
        """
        stamp = self._stamp(picture)
        complete = bool(picture.key_frame) or not self._by_decoding_time
        return complete and stamp is not None and stamp <= target

    def _is_reordered(self) -> bool:
        """Return whether times are those of packets, and the packets are in another order than the pictures.

        FFmpeg has decoded the first frames of the file to find out.
        """
        return self._by_decoding_time and bool(self._stream.codec_context.has_b_frames)

    def _stamp(self, picture: VideoFrame) -> int | None:
        """Return the presentation time of a picture, in units of the stream."""
        return picture.dts if self._by_decoding_time else picture.pts

    @property
    def _is_avi(self) -> bool:
        return bool(self._container.format.name == "avi")

    def _stream_kinds(self) -> str:
        kinds = {"a cover" if stream.type == "video" else stream.type for stream in self._container.streams}
        return ", ".join(sorted(kinds)) or "no streams"

    def _decoded_frames(self) -> Iterator[VideoFrame]:
        """Yield every frame that the decoder returns.

        Errors before the first frame are ignored: recordings often begin between two key frames.
        """
        begun = False
        for packet in chain(self._ahead, self._end_of_ahead(), self._packets):
            if packet.size:  # with several threads, an error may come at the end only
                self._packet = packet
                if self._checks_end:
                    self._keep_for_check(packet)
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                if begun:
                    raise
                continue
            for frame in frames:
                begun = True
                yield frame

    def _keep_for_check(self, packet: Packet[VideoStream]) -> None:
        """Keep the packets since the last key frame of an MPEG-TS, for `_end_is_cut`."""
        if packet.is_keyframe or len(self._since_key) >= _LONGEST_CHECK:
            self._since_key.clear()
        if packet.is_keyframe or self._since_key:
            self._since_key.append(packet)

    def _end_is_cut(self) -> bool:
        """Decode the kept packets in one thread: with several, FFmpeg does not always mark an incomplete picture."""
        if not self._since_key:
            return False
        context = self._stream.codec_context
        decoder = av.CodecContext.create(context.codec.name, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = context.extradata
        decoder.thread_count = 1
        is_cut = False
        with suppress(av.FFmpegError):
            for packet in (*self._since_key, None):
                for picture in decoder.decode(packet):
                    is_cut = bool(picture.is_corrupt)  # of the last one
        return is_cut

    def _read_ahead(self) -> list[Packet[VideoStream]]:
        """Return the first packets; they are not decoded yet."""
        packets = []
        try:
            for packet in islice(self._packets, _PACKETS_AHEAD):
                packets.append(packet)  # one by one: those before an error count
        except av.FFmpegError as error:
            self._ahead_error = error  # due after these packets
        return packets

    def _end_of_ahead(self) -> Iterator[Packet[VideoStream]]:
        """Yield nothing; raise the error that ended `_read_ahead`, if there was one."""
        self._ahead.clear()
        if self._ahead_error is not None:
            raise self._ahead_error
        yield from ()

    def _plausible_rate(self, name: str, *, said: bool) -> float:
        """Return the frames per second that the file states, or those of its first frames if the difference is large;
        0 if neither is known.

        Browsers record without a frame rate, which then looks like 1000, and a long gap makes the mean rate small.

        Args:
            said: log a warning if the stated rate is not used.
        """
        stamps = (packet.dts if packet.pts is None else packet.pts for packet in self._ahead)
        ordered = sorted(stamp for stamp in stamps if stamp is not None)
        steps = [after - before for before, after in pairwise(ordered) if after > before]
        time_base = self._stream.time_base
        if len(steps) < _LEAST_STEPS or time_base is None:
            return self._stated_rate
        measured = float(1 / (median_low(steps) * time_base))
        if 1 / _RATE_FACTOR <= self._stated_rate / measured <= _RATE_FACTOR:
            return self._stated_rate
        if said:
            logger.warning(
                "%s states %.4g frames per second, but its first frames come at %.4g per second, which is used",
                name,
                self._stated_rate,
                measured,
            )
        return measured

    def _why(self, error: av.FFmpegError) -> str:
        """Return why the newest packet could not be decoded."""
        problem = decoding_problem(error, self._stream, self._packet, self._max_picture_px)
        return problem or str(error.strerror)

    def _frames(self) -> Iterator[Frame]:
        period_s = 1 / self.frame_rate
        begin, begin_s = self._entered, self._entered_at_s or 0.0
        first_index = index = round(begin_s * self.frame_rate)
        picture = begin
        file_s = begin_s - 1 / self._file_rate  # the time of the newest frame in the file
        pictures = _Lookahead(chain([begin], self._decoder))

        def following_s() -> float | None:
            return None if (following := pictures.peek()) is None else self._stamp_s(following)

        try:
            for index, picture in enumerate(pictures, first_index):
                stamp_s = self._stamp_s(picture)
                file_s = file_s + 1 / self._file_rate if stamp_s is None else stamp_s
                if self._by_index:
                    time_s = index * period_s
                else:
                    time_s = self._times.time_s(stamp_s, following_s)
                    self._warn_of_times(index)
                self._warn_of_damage(index, picture)
                problem = too_large((picture.width, picture.height), self._max_picture_px)
                if problem is not None:
                    raise self._broken(index, problem)
                yield self._frame(index, time_s, self._converter.bgr(picture))
        except av.FFmpegError as error:
            raise self._broken(index + 1, f"the video cannot be decoded further ({self._why(error)})") from error
        if self._entered_at_s is not None:
            return
        if index == 0:
            logger.warning("camera %s: %s has only one frame: nobody is tracked in it", self.camera_id, self.path)
        self._check_complete(index + 1, picture, file_s)

    def _stamp_s(self, picture: VideoFrame) -> float | None:
        """Return the presentation time after the first frame's, in seconds of the file."""
        stamp, first = self._stamp(picture), self._stamp(self._first)
        if stamp is None or first is None or picture.time_base is None:
            return None
        return float((stamp - first) * picture.time_base)

    @property
    def own_frame_rate(self) -> float:
        """Frames per second by the file itself, also if another frame rate was given."""
        return self._file_rate

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

    def _check_complete(self, frames: int, last: VideoFrame, last_s: float) -> None:
        """Raise if the file ended long before its declared end, or in the middle of a frame; warn if some are missing.

        Args:
            last_s: time of the last frame, in seconds of the file.
        """
        declared_s = self._declared_duration_s()
        shown_s = float(last.duration * last.time_base) if last.duration and last.time_base else 0.0
        end_s = last_s + max(shown_s, 1 / self._file_rate)
        # Declared durations are rounded, and not every container states how long the last frame is shown.
        if declared_s is not None and not self._times.repaired and end_s < 0.99 * declared_s - 1.0:
            raise self._broken(
                frames, f"the video ends after {end_s:.1f} s, but declares {declared_s:.1f} s: it was cut off"
            )
        if last.is_corrupt or self._end_is_cut():
            raise self._broken(frames, "the video ends in the middle of a picture: it was cut off")
        # A file whose edit list hides its end has fewer frames than it declares, but not a shorter duration.
        missing = self._stream.frames - frames
        if missing > 0 and declared_s is not None and end_s < declared_s - 1.5 / self._file_rate:
            logger.warning(
                "camera %s: %s declares %d frames, but the last %d are missing or cannot be decoded: it was cut off",
                self.camera_id,
                self.path,
                self._stream.frames,
                missing,
            )

    def _declared_duration_s(self) -> float | None:
        """Return the duration that the file declares; None if it declares none."""
        if self._is_avi:
            # FFmpeg guesses the duration of an AVI without its closing index.
            return self._stream.frames / (self._stated_rate or self._file_rate)
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
