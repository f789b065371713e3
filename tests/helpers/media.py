"""Small videos and pictures that tests make for themselves: what is seen tells which frame it is."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

# Grey values this far apart survive lossy coding: it moves a flat picture by 2 or 3 levels.
GREY_STEP = 8


def grey_picture(index: int, size_wh: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """A flat picture (H, W, 3) uint8 whose grey value is `index` * GREY_STEP + 16; index at most 28."""
    value = index * GREY_STEP + 16
    assert value <= 240, "video levels end at 240 in limited range"
    return np.full((size_wh[1], size_wh[0], 3), value, np.uint8)


def index_of(image: NDArray[np.uint8]) -> int:
    """The index that `grey_picture` was made with, read from the picture."""
    return round((float(image.mean()) - 16) / GREY_STEP)


def noisy_picture(index: int, size_wh: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """A picture that does not compress, so that cutting a file's bytes cuts its frames in proportion."""
    noise = np.random.default_rng(index).integers(0, 256, (size_wh[1], size_wh[0], 3))
    return noise.astype(np.uint8)


def write_video(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    *,
    frame_rate: int = 10,
    pts: Sequence[int] | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    pix_fmt: str | None = None,
    max_b_frames: int | None = None,
) -> Path:
    """Encode BGR pictures; `pts` are presentation times in frame periods (0, 1, 2, ... by default)."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=frame_rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt or "yuv420p"
        stream.gop_size = 5
        if max_b_frames is not None:
            stream.codec_context.max_b_frames = max_b_frames
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = index if pts is None else pts[index]
            frame.time_base = Fraction(1, frame_rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_streams(
    path: Path,
    streams: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]],
    *,
    dispositions: Sequence[Disposition] = (),
    frame_rate: int = 10,
) -> Path:
    """Encode several video streams (codec, BGR pictures) into one file, with their dispositions."""
    with av.open(str(path), "w") as container:
        outputs: list[VideoStream] = []
        for codec, images in streams:
            stream = container.add_stream(codec, rate=frame_rate)
            assert isinstance(stream, VideoStream)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            outputs.append(stream)
        for stream, disposition in zip(outputs, dispositions, strict=False):
            stream.disposition = disposition
        for stream, (_, images) in zip(outputs, streams, strict=True):
            for index, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame.pts, frame.time_base = index, Fraction(1, frame_rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def write_stamped(path: Path, stamps_s: Sequence[float], *, frame_rate: int = 10) -> Path:
    """Grey pictures with these time stamps in seconds, in this order, also where they do not rise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=frame_rate, options={"tune": "zerolatency"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for index in range(len(stamps_s)):
            frame = av.VideoFrame.from_ndarray(grey_picture(index), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, frame_rate)
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, stamp_s in zip(packets, stamps_s, strict=True):
            packet.pts = round(stamp_s / packet.time_base)
            container.mux(packet)
    return path


def write_pictures(
    folder: Path, images: Sequence[NDArray[np.uint8]], name: str = "{:d}.png", first: int = 0
) -> Path:
    """Write pictures named by index, counted from `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images, start=first):
        assert cv2.imwrite(str(folder / name.format(index)), image)
    return folder
