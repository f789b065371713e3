"""Opens and reads one live stream with FFmpeg through PyAV.

A packet of an RTSP stream carries the camera's own wall clock once the first RTCP sender report has arrived. Frames
stay in the decoder's format until their pixels are needed, because most cameras send more frames than are used.
"""

from __future__ import annotations

import errno
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeGuard
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress, is_device, is_stream
from pipeline.live.cameras.damage import DamageWatch
from pipeline.live.cameras.ffmpeg_problem import problem_of
from pipeline.live.cameras.http_video import HttpVideo, open_http
from pipeline.live.cameras.luma import luma_of
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.rtsp_check import ask
from pipeline.sources.picture import PictureConverter
from pipeline.sources.picture_size import MAX_PICTURE_PX, too_large
from pipeline.sources.video_stream import (
    bare_problem,
    bare_rate,
    decoder_options,
    decoding_problem,
    lacks_presentation_times,
    select_video_stream,
    size_problem,
)

_log = logging.getLogger(__name__)

# More undecodable packets in a row than this are not a temporary fault.
_MAX_BAD_PACKETS = 250
_RTSP = ("rtsp", "rtsps")
# Longest time for the question who would get the password; a camera that is late is asked by FFmpeg alone.
_ASK_S = 1.0


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        size_wh: (width, height) in pixels.
        stream_s: its time on the stream's own clock in seconds; None if it has none.
        wall_s: its time on the camera's wall clock, Unix seconds; None if the camera has not sent it.
        corrupt: whether parts are missing, or more than half is the grey of a decoder without a reference picture.
        to_bgr: returns (H, W, 3) uint8 BGR; call it from one thread at a time.
        luma: returns (H, W) uint8, or None if the format has no 8-bit luma plane.
    """

    size_wh: tuple[int, int]
    stream_s: float | None
    wall_s: float | None
    corrupt: bool
    to_bgr: Callable[[], NDArray[np.uint8]]
    luma: Callable[[], NDArray[np.uint8] | None] = lambda: None


@dataclass(frozen=True, eq=False)
class Received:
    """The content of one packet.

    Attributes:
        pictures: none, one, or several.
        lost: the fault because of which there is no picture, 'corrupt' or 'no_keyframe'; None without a fault.
        video: False for sound, metadata and other video tracks, which have no pictures.
        mark: identifies the packet where a server may send it again after it was received; None elsewhere.
    """

    pictures: tuple[Picture, ...]
    lost: str | None = None
    video: bool = True
    mark: int | None = None


class LiveStream(Protocol):
    """An open stream."""

    @property
    def paced(self) -> bool:
        """True if pictures arrive faster than they were taken and must be held back: files, HLS."""

    def packets(self) -> Iterator[Received]:
        """Yield the content of each packet as it arrives, until the stream ends.

        Raises:
            StreamProblem: the stream has failed.
        """

    def close(self) -> None:
        """Close the stream; called in the thread that reads it."""


# Opens the stream, in the thread that then reads it; raises StreamProblem if that fails.
StreamOpener = Callable[[], LiveStream]


@dataclass(frozen=True)
class StreamOptions:
    """How one stream is opened; see `cameras`, `runtime` and `live` in configs/default.yaml.

    Attributes:
        frame_rate, clock_rate: of a file; they change its times as in `mtmc track`.
    """

    transport: str
    open_timeout_s: float
    read_timeout_s: float
    display_size_wh: tuple[int, int] | None = None
    max_picture_px: int = MAX_PICTURE_PX
    frame_rate: float | None = None
    clock_rate: float = 1.0
    fallen_back: bool = False  # whether this is the second transport that is tried


@dataclass(frozen=True)
class AvOpener:
    """Opens one address; openers with the same address, options, user and password are equal."""

    address: StreamAddress
    options: StreamOptions
    redact: Redactor = field(compare=False, repr=False)
    _told: set[str] = field(default_factory=set, compare=False, repr=False)

    def __call__(self) -> LiveStream:
        self._protect_password()
        try:
            return AvStream(self.address, self.options, self.redact, self._warn)
        except _OtherTransport:
            transport = "udp" if self.options.transport == "tcp" else "tcp"
            options = replace(self.options, transport=transport, fallen_back=True)
            stream = AvStream(self.address, options, self.redact, self._warn)
        self._tell(
            f"refuses transport: {self.options.transport}, so {transport} is used; set `transport: {transport}` for "
            "this camera"
        )
        return stream

    def _protect_password(self) -> None:
        """Raise StreamProblem if the password would go to another host; warn if others in the network can read it."""
        if self.address.password is not None and _scheme(self.address) == "http":
            self._tell(
                "is not encrypted, so others in the network can read the password: use https:// if possible"
            )
        if self.address.password is None or _scheme(self.address) not in _RTSP:
            return
        answer = ask(self.address.url, min(self.options.open_timeout_s, _ASK_S))
        if answer.redirect_host is not None:
            raise StreamProblem(
                Reason.DENIED,
                f"the camera redirects to {answer.redirect_host}, which would get the password: set source to the "
                "address there if that host may have it",
            )
        if answer.unencrypted:
            raise StreamProblem(
                Reason.DENIED,
                "the camera redirects to an address without encryption (rtsp://), where others in the network could "
                "read the password: set source to that address if they may",
            )
        if answer.clear_text:
            self._tell("asks for the password in clear text (Basic): select Digest in the camera, or use rtsps://")

    def _tell(self, text: str) -> None:
        self._warn(f"{self.redact(self.address.url)} {text}")

    def _warn(self, text: str) -> None:
        """Log a warning once, not at every connection."""
        if text not in self._told:
            self._told.add(text)
            _log.warning(text)


class _OtherTransport(Exception):
    """The camera does not offer the transport (TCP or UDP) that was asked for."""


class AvStream:
    """A stream or a file that FFmpeg reads.

    Raises:
        StreamProblem: it cannot be opened.
    """

    def __init__(
        self,
        address: StreamAddress,
        options: StreamOptions,
        redact: Redactor,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        self._redact = redact
        self._options = options
        self._live = is_stream(address.url)
        self._http = _open_http(address, options)
        try:
            self._container = _open(address, options, self._http)
        except StreamProblem:
            self._close_http()
            raise
        except (av.FFmpegError, OSError, ValueError) as error:
            self._close_http()
            if self._http is not None and self._http.problem is not None:
                raise self._http.problem from None
            if (
                getattr(error, "errno", None) == errno.EPROTONOSUPPORT
                and _scheme(address) in _RTSP
                and not options.fallen_back
            ):
                raise _OtherTransport from None
            raise problem_of(error, redact, opening=True, host=_host(address)) from None
        try:
            self._stream = _video_stream(self._container, redact(address.url), options, warn)
        except StreamProblem:
            self.close()
            raise
        self._converter = PictureConverter(
            self._stream.sample_aspect_ratio,
            redact(address.url),
            display_size_wh=options.display_size_wh,
            warn=warn,
        )
        self._by_decoding_time = lacks_presentation_times(self._container)
        self._rate = self._options.frame_rate or self._bare_rate(warn)
        self._stream_s: float | None = None  # of the last picture of a file
        self._frames = 0
        self._damage = DamageWatch()
        self._wall: tuple[int, float] | None = None  # pts, and wall clock in s, of the newest packet with both

    @property
    def paced(self) -> bool:
        return not self._live or self._container.format.name == "hls"

    def packets(self) -> Iterator[Received]:
        keyed = False
        bad = 0
        try:
            # All tracks, so that the reader also runs while only sound or metadata arrives.
            for packet in self._received():
                if not self._is_mine(packet):
                    yield Received((), video=False)
                    continue
                if packet.size == 0 and self._live:
                    continue  # it would flush the decoder, whose pictures are too old for a live stream
                self._note_wall(packet)
                keyed = keyed or packet.is_keyframe or packet.size == 0
                mark = self._mark(packet)
                if not keyed:
                    yield Received((), "no_keyframe", mark=mark)
                    continue
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    bad += 1
                    if bad > _MAX_BAD_PACKETS:
                        raise
                    yield Received((), "corrupt", mark=mark)
                    continue
                except av.error.ArgumentError as error:
                    problem = decoding_problem(error, self._stream, packet, self._options.max_picture_px)
                    raise StreamProblem(Reason.CODEC, problem or str(error)) from None
                bad = 0 if frames else bad
                yield Received(tuple(self._picture(frame) for frame in frames), mark=mark)
        except (av.FFmpegError, OSError) as error:
            raise problem_of(error, self._redact, opening=False) from None
        if self._http is not None and self._http.problem is not None:
            raise self._http.problem

    def _received(self) -> Iterator[Packet[Any]]:
        if self._http is not None:
            self._http.next_packet()
        for packet in self._container.demux():
            yield packet
            if self._http is not None:
                self._http.next_packet()

    def close(self) -> None:
        self._container.close()
        self._close_http()

    def _close_http(self) -> None:
        if self._http is not None:
            self._http.close()

    def _bare_rate(self, warn: Callable[[str], None]) -> float | None:
        """Return the frames per second of a file without times; None for other files, and for streams."""
        bare = None if self._live else bare_rate(self._container, self._stream)
        if bare is None or self._options.frame_rate is not None:
            return None
        warn(f"{self._redact(self._container.name)}: {bare_problem(*bare)}")
        return bare[0]

    def _is_mine(self, packet: Packet[Any]) -> TypeGuard[Packet[VideoStream]]:
        # Not `packet.stream_index`, which is 0 for the packet that ends a stream.
        return bool(packet.stream.index == self._stream.index)

    def _mark(self, packet: Packet[VideoStream]) -> int | None:
        """Return a number for the content and time of a packet; None if the server sends every packet once."""
        if not self._live or not self.paced or packet.size == 0:
            return None
        return hash((packet.pts, zlib.crc32(bytes(packet))))

    def _note_wall(self, packet: Packet[VideoStream]) -> None:
        if packet.pts is None or not packet.has_sidedata("prft"):
            return
        # AVProducerReferenceTime starts with the wall clock as int64 microseconds.
        microseconds = int.from_bytes(bytes(packet.get_sidedata("prft"))[:8], "little", signed=True)
        self._wall = (packet.pts, microseconds / 1e6)

    def _picture(self, frame: VideoFrame) -> Picture:
        problem = too_large((frame.width, frame.height), self._options.max_picture_px)
        if problem is not None:
            raise StreamProblem(Reason.CODEC, problem)
        stream_s = wall_s = None
        if self._by_decoding_time:
            frame.pts = frame.dts
        if frame.pts is not None and frame.time_base is not None:
            stream_s = float(frame.pts * frame.time_base)
            if self._wall is not None:
                pts, at_s = self._wall
                wall_s = at_s + float((frame.pts - pts) * frame.time_base)
        if not self._live:
            # A file is played with the times that `mtmc track` gives its frames.
            if self._rate is not None:
                stream_s = self._frames / self._rate
            elif stream_s is None and self._stream_s is not None:  # such as the last ones of an AVI
                stream_s = self._stream_s + 1 / float(self._stream.average_rate or 25)
            self._stream_s = stream_s
            stream_s = None if stream_s is None else stream_s * self._options.clock_rate
        self._frames += 1
        return Picture(
            size_wh=self._converter.size_wh(frame),
            stream_s=stream_s,
            wall_s=wall_s,
            corrupt=self._damage.is_damaged(frame),
            to_bgr=lambda: self._converter.bgr(frame),
            luma=lambda: luma_of(frame),
        )


def _open_http(address: StreamAddress, options: StreamOptions) -> HttpVideo | None:
    if _scheme(address) not in ("http", "https"):
        return None
    return open_http(address, options.open_timeout_s, options.read_timeout_s, options.max_picture_px)


def _open(address: StreamAddress, options: StreamOptions, http: HttpVideo | None) -> InputContainer:
    settings = decoder_options(options.max_picture_px)
    if is_device(address.url):
        return av.open(
            address.url,
            format="v4l2",
            options=settings,
            timeout=(options.open_timeout_s, options.read_timeout_s),
        )
    if not is_stream(address.url):
        return av.open(address.url, options=settings)
    # Without fpsprobesize, opening waits for 2 s to measure the frame rate.
    settings["fpsprobesize"] = "1"
    scheme = _scheme(address)
    if scheme in _RTSP:
        settings["rtsp_transport"] = options.transport
    if scheme in ("http", "https") and ".m3u8" not in address.url:
        # MJPEG has no times of its own; FFmpeg would assume 25 frames a second.
        settings["use_wallclock_as_timestamps"] = "1"
    if http is not None:
        return av.open(http, "r", format=http.format, options=settings)
    return av.open(
        address.with_credentials(),
        options=settings,
        timeout=(options.open_timeout_s, options.read_timeout_s),
    )


def _video_stream(
    container: InputContainer, name: str, options: StreamOptions, warn: Callable[[str], None]
) -> VideoStream:
    stream = select_video_stream(container, name, options.max_picture_px, warn)
    if stream is None:
        raise StreamProblem(Reason.CODEC, "the stream contains no video")
    problem = size_problem(stream, options.max_picture_px)
    if problem is not None:
        raise StreamProblem(Reason.CODEC, problem)
    # Frame threading would add a delay of one frame per thread.
    stream.thread_type = "SLICE"
    stream.codec_context.thread_count = 1
    return stream


def _scheme(address: StreamAddress) -> str:
    return address.url.partition("://")[0].lower()


def _host(address: StreamAddress) -> str | None:
    """Return the host of a URL; None if it has none, such as a device."""
    try:
        return urlsplit(address.url).hostname
    except ValueError:
        return None
