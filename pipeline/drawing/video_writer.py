"""Writes images as a video that every browser plays: H.264, yuv420p, mp4."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.files.whole_files import replacing

_KEY_FRAME_INTERVAL_S = 2


class VideoWriter:
    """Encodes images with a constant frame rate; a context manager.

    While it is written, the mp4 is fragmented into independent parts of about 2 s. After a kill or a crash, everything
    but the last seconds plays; an ordinary mp4 would lack its index, which is at the end, and not play at all. `close`
    copies the images, without encoding them again, to an ordinary mp4 with the index in front ("faststart"). Players
    seek better in it, and know its length at once.

    The file is created with the first image and replaces an existing one; without images there is no file. If an
    exception leaves the context, the file is closed and kept as well.
    """

    def __init__(self, path: Path, *, fps: Fraction | float, crf: int = 23) -> None:
        """Prepare to write.

        Args:
            path: the file, ending in .mp4.
            fps: images per second, above 0.
            crf: constant rate factor of x264, 0 (lossless) to 51; an increase by 6 halves the size.

        Raises:
            ValueError: `fps` is not above 0, or `path` does not end in .mp4.
        """
        if not fps > 0:
            raise ValueError(f"fps must be above 0, but is {fps}")
        if path.suffix != ".mp4":
            raise ValueError(f"the video must be named *.mp4, but is {path.name}")
        self._path = path
        self._fps = Fraction(fps).limit_denominator(1001)  # 30000/1001 and 29.97 both fit
        self._crf = crf
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size_wh: tuple[int, int] | None = None
        self._frames = 0
        self._failed = False

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def frames(self) -> int:
        """Number of images written."""
        return self._frames

    def write(self, image_bgr: NDArray[np.uint8]) -> None:
        """Append an image (H, W, 3) uint8, BGR; all must have the size of the first.

        yuv420p needs even sizes: an odd last column or row is duplicated.

        Raises:
            ValueError: the image has another size than the first.
        """
        height, width = image_bgr.shape[:2]
        if self._stream is None:
            self._size_wh = (width, height)
            self._open(width + width % 2, height + height % 2)
        if self._size_wh != (width, height):
            raise ValueError(f"the first picture is {self._size_wh} (width, height), this is {(width, height)}")
        if width % 2 or height % 2:
            image_bgr = np.asarray(
                cv2.copyMakeBorder(image_bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        frame.pts, frame.time_base = self._frames, 1 / self._fps
        self._mux(frame)
        self._frames += 1

    def close(self) -> None:
        """Finish the file; a second call does nothing, nor does one after a failure to write."""
        if self._container is None:
            return
        try:
            if not self._failed:
                self._mux(None)
        finally:
            self._container.close()
            self._container = None
        if not self._failed:
            _index_in_front(self._path)

    def _open(self, width: int, height: int) -> None:
        self._container = av.open(
            str(self._path),
            "w",
            format="mp4",
            # flush_packets: hand each fragment to the operating system at once.
            options={"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"},
        )
        stream = self._container.add_stream("libx264", rate=self._fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / self._fps
        context.gop_size = max(1, round(_KEY_FRAME_INTERVAL_S * self._fps))
        context.max_b_frames = 0  # a fragmented mp4 with B-frames would begin two frames late
        context.options = {"crf": str(self._crf), "preset": "veryfast"}
        # BT.709, as in HD television; stored in the file, because otherwise players guess it, each differently.
        context.colorspace = Colorspace.ITU709
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        context.color_range = ColorRange.MPEG
        self._stream = stream

    def _mux(self, frame: av.VideoFrame | None) -> None:
        if self._container is None or self._stream is None:
            raise ValueError("the video is closed")
        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError:
            self._failed = True  # FFmpeg ends the process if more is written
            raise


def _index_in_front(path: Path) -> None:
    """Replace a fragmented mp4 by an ordinary one with the same images and the index in front."""
    with (
        replacing(path) as copy,
        av.open(str(path)) as source,
        av.open(str(copy), "w", format="mp4", options={"movflags": "faststart"}) as target,
    ):
        stream = source.streams.video[0]
        output = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:  # the last one is empty and only flushes a decoder
                packet.stream = output
                target.mux(packet)
