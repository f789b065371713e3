"""Selects the video stream of an open file or camera, and limits the size of its pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.sources.picture_size import header_size_wh, too_large

_log = logging.getLogger(__name__)

#: Codecs of covers, which some files hold as a track like any other.
_PICTURE_CODECS = frozenset({"bmp", "gif", "mjpeg", "png", "tiff", "webp"})
# FFmpeg counts lines that are rounded up to multiples of 64 pixels; this is for up to 65536 of them.
_PADDING_PX = 64 * 65536
# FFmpeg's flag of formats without times.
_NO_TIMES = 0x80
# Of the option of FFmpeg.
_LARGEST_PX = 2**31 - 1
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def decoder_options(max_picture_px: int) -> dict[str, str]:
    """Return the options with which a container is opened, so that FFmpeg decodes no picture much larger than that."""
    return {"max_pixels": str(min(max_picture_px + _PADDING_PX, _LARGEST_PX))}


def select_video_stream(
    container: InputContainer, name: str, max_picture_px: int, warn: Callable[[str], None] = _log.warning
) -> VideoStream | None:
    """Return the video stream to decode, with a limited decoder; None if there is none.

    Covers and thumbnails do not count. Of several streams, one that the file marks as its default comes first, unless
    that is the first stream, which programs mark without being asked; then the one with the largest pictures, then the
    first. A warning says which one was taken.

    Args:
        container: opened with `decoder_options`.
        name: of the recording or camera, for the warning.
        warn: takes the warning.
    """
    streams = [stream for stream in container.streams.video if _is_video(stream)]
    if any(stream.frames > 1 for stream in streams):
        streams = [stream for stream in streams if stream.frames != 1]  # 0 is an unknown number
    if not streams:
        return None
    marked = [stream for stream in streams if Disposition.default in stream.disposition]
    said = marked if marked[:1] != streams[:1] else []
    chosen = max(streams, key=lambda stream: (_is_film(stream), stream in said, _area_px(stream)))
    if len(streams) > 1:
        found = ", ".join(f"{stream.index}: {_shown_size(stream)}" for stream in streams)
        warn(
            f"{name} has {len(streams)} video streams ({found}): stream {chosen.index} is used, the others are not. "
            "To use another one, copy it into a file of its own, or give the address of that stream"
        )
    chosen.codec_context.options = decoder_options(max_picture_px)
    return chosen


def lacks_presentation_times(container: InputContainer) -> bool:
    """Return whether the file has no presentation times, as an AVI.

    FFmpeg's guess is then wrong at gaps and for frames that are stored out of order. But the decoder returns frames
    in the order in which they are shown, each with the `dts` of the packet that it received for it, and these
    include gaps.
    """
    return bool(container.format.name == "avi")


def bare_rate(container: InputContainer, stream: VideoStream) -> tuple[float, bool] | None:
    """Return the frames per second of a bare stream of pictures, such as a .264 file, and whether it states them; None
    for a container, which has times.

    FFmpeg counts every bare stream as 25 frames per second.
    """
    if not container.format.flags & _NO_TIMES:
        return None
    stated = float(stream.codec_context.framerate or 0)
    return (stated, True) if stated > 0 else (float(stream.average_rate or 0), False)


def bare_problem(rate: float, stated: bool) -> str:
    """Return a sentence about the times of a bare stream; arguments as returned by `bare_rate`."""
    origin = "as it states" if stated else "which is a guess"
    return (
        f"a bare stream has no times, so its frames count as {rate:.4g} per second, {origin}, and gaps are not seen: "
        "give frame_rate, or use the container from which it was taken"
    )


def size_problem(stream: VideoStream, max_picture_px: int) -> str | None:
    """Return why the pictures of a stream are too large, as far as its header states it; None if they are not."""
    return too_large((stream.width or 0, stream.height or 0), max_picture_px)


def decoding_problem(
    error: av.FFmpegError, stream: VideoStream, packet: Packet[VideoStream] | None, max_picture_px: int
) -> str | None:
    """Return a text if a packet may not have been decoded because its picture is too large; else None."""
    problem = size_problem(stream, max_picture_px)
    size_wh = None if packet is None else header_size_wh(bytes(packet))  # MJPEG states the size in every packet
    if problem is None and size_wh is not None:
        problem = too_large(size_wh, max_picture_px)
    if problem is None and isinstance(error, av.error.ArgumentError):
        # FFmpeg's answer to a picture above the limit.
        problem = (
            f"{error.strerror}: maybe a picture is above the limit of {max_picture_px / 1e6:g} megapixels "
            "(runtime.max_picture_megapixels)"
        )
    return problem


def _is_video(stream: VideoStream) -> bool:
    """Return whether the stream is no cover or thumbnail, and FFmpeg has a decoder for it."""
    return not stream.disposition & _NO_VIDEO and getattr(stream, "codec_context", None) is not None


def _is_film(stream: VideoStream) -> bool:
    return stream.codec_context.codec.name not in _PICTURE_CODECS


def _area_px(stream: VideoStream) -> int:
    return (stream.width or 0) * (stream.height or 0)


def _shown_size(stream: VideoStream) -> str:
    return f"{stream.width}x{stream.height}" if _area_px(stream) else "unknown size"
