"""Which of several video streams is decoded, and how large its pictures may be."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.stream import AvOpener, AvStream, StreamOptions
from pipeline.sources.base import BrokenSource
from pipeline.sources.open import open_source
from pipeline.sources.video import VideoSource
from tests.helpers.media import grey_picture, write_streams, write_video

NONE, DEFAULT = Disposition(0), Disposition.default
SMALL, MAIN = (32, 24), (64, 48)


def pictures(count: int, size_wh: tuple[int, int]) -> list[NDArray[np.uint8]]:
    return [grey_picture(index, size_wh) for index in range(count)]


def live_sizes(path: Path, **options: int) -> list[tuple[int, int]]:
    stream = AvStream(StreamAddress(str(path)), StreamOptions("tcp", 5.0, 5.0, **options), Redactor())
    try:
        return [picture.size_wh for received in stream.packets() for picture in received.pictures]
    finally:
        stream.close()


@pytest.mark.parametrize(
    ("suffix", "streams", "dispositions", "said"),
    [
        pytest.param(
            "mp4", [("mjpeg", 1, SMALL), ("libx264", 6, MAIN)], [DEFAULT, NONE], False, id="cover in mp4"
        ),
        pytest.param("mkv", [("mjpeg", 1, SMALL), ("libx264", 6, MAIN)], [DEFAULT, NONE], True, id="cover in mkv"),
        pytest.param("mp4", [("mjpeg", 1, (640, 480)), ("libx264", 6, MAIN)], [], False, id="large cover"),
        pytest.param("mp4", [("libx264", 6, MAIN), ("mjpeg", 1, SMALL)], [], False, id="cover behind"),
        pytest.param("mp4", [("libx264", 6, SMALL), ("libx264", 6, MAIN)], [], True, id="sub-stream first"),
        pytest.param("ts", [("libx264", 6, SMALL), ("libx264", 6, MAIN)], [], True, id="sub-stream first in ts"),
        pytest.param("mkv", [("libx264", 6, (96, 64)), ("libx264", 6, MAIN)], [NONE, DEFAULT], True, id="default"),
    ],
)
def test_the_main_video_is_decoded_in_recordings_and_live(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    streams: list[tuple[str, int, tuple[int, int]]],
    dispositions: list[Disposition],
    said: bool,
) -> None:
    path = write_streams(
        tmp_path / f"a.{suffix}",
        [(codec, pictures(count, size_wh)) for codec, count, size_wh in streams],
        dispositions=dispositions,
    )
    with open_source("yard", str(path)) as source:
        assert source.size_wh == MAIN
        assert len(list(source)) == 6
    assert ("camera yard: " in caplog.text and "has 2 video streams" in caplog.text) is said
    assert live_sizes(path) == [MAIN] * 6


def test_a_warning_of_a_live_camera_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_streams(tmp_path / "a.ts", [("libx264", pictures(2, SMALL)), ("libx264", pictures(2, MAIN))])
    opener = AvOpener(StreamAddress(str(path)), StreamOptions("tcp", 5.0, 5.0), Redactor())
    for _ in range(3):
        opener().close()
    assert caplog.text.count("has 2 video streams") == 1


def test_a_recording_of_one_frame_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(1, MAIN))
    with open_source("yard", str(path)) as source:
        assert len(list(source)) == 1
    assert "has only one frame" in caplog.text


def large_jpeg(size_wh: tuple[int, int]) -> bytes:
    encoded, data = cv2.imencode(".jpg", np.zeros((size_wh[1], size_wh[0]), np.uint8))
    assert encoded
    return data.tobytes()


def write_jpegs(path: Path, jpegs: list[bytes], size_wh: tuple[int, int]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuvj420p"
        for index, data in enumerate(jpegs):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 10)
            packet.is_keyframe = True
            container.mux(packet)
    return path


LIMIT_PX = 4000
PIX_FMT = {"png": "rgb24", "mjpeg": "yuvj420p"}


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mp4", "mjpeg"])
def test_pictures_above_the_limit_are_refused_before_they_are_decoded(tmp_path: Path, suffix: str) -> None:
    path = write_jpegs(tmp_path / f"a.{suffix}", [large_jpeg((96, 64))] * 2, (96, 64))
    with pytest.raises(
        InputError, match=r"a picture has 96x64 pixels, which is above the limit of 0\.004 megapixels"
    ):
        open_source("yard", str(path), max_picture_px=LIMIT_PX)
    with pytest.raises(StreamProblem, match="96x64 pixels") as problem:
        live_sizes(path, max_picture_px=LIMIT_PX)
    assert problem.value.reason is Reason.CODEC
    with open_source("yard", str(path)) as source:
        assert len(list(source)) == 2


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libvpx-vp9", "ffv1"])
def test_the_limit_holds_for_every_codec(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "a.mkv", pictures(3, (96, 64)), codec=codec)
    with pytest.raises(InputError, match="megapixels"):
        open_source("yard", str(path), max_picture_px=LIMIT_PX)
    with pytest.raises(StreamProblem, match="megapixels"):
        live_sizes(path, max_picture_px=LIMIT_PX)
    with open_source("yard", str(path), max_picture_px=96 * 64) as source:
        assert len(list(source)) == 3


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "png", "mjpeg"])
def test_ffmpeg_itself_decodes_no_picture_far_above_the_limit(tmp_path: Path, codec: str) -> None:
    path = tmp_path / f"a.{'mov' if codec == 'png' else 'mkv'}"
    size_wh = (3000, 1500)
    write_video(path, [np.zeros((size_wh[1], size_wh[0], 3), np.uint8)], codec=codec, pix_fmt=PIX_FMT.get(codec))
    with pytest.raises(InputError, match="megapixels"):
        open_source("yard", str(path), max_picture_px=LIMIT_PX)
    with pytest.raises(StreamProblem, match="megapixels"):
        live_sizes(path, max_picture_px=LIMIT_PX)


def test_the_size_is_said_also_where_ffmpeg_does_not_know_it(tmp_path: Path) -> None:
    _, data = cv2.imencode(".png", np.zeros((1500, 3000), np.uint8))
    (tmp_path / "a.dat").write_bytes(data.tobytes())
    with pytest.raises(InputError, match="3000x1500 pixels"):
        open_source("yard", str(tmp_path / "a.dat"), max_picture_px=LIMIT_PX)


def test_a_larger_picture_in_the_middle_ends_the_recording_there(tmp_path: Path) -> None:
    small, large = large_jpeg((64, 48)), large_jpeg((96, 64))
    path = write_jpegs(tmp_path / "a.avi", [small, small, large], (64, 48))
    with open_source("yard", str(path), max_picture_px=LIMIT_PX) as source:
        frames = iter(source)
        assert [next(frames).frame_index, next(frames).frame_index] == [0, 1]
        with pytest.raises(BrokenSource, match="96x64 pixels, which is above the limit"):
            next(frames)
    with pytest.raises(StreamProblem, match="96x64 pixels"):
        live_sizes(path, max_picture_px=LIMIT_PX)


def test_stretching_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey_picture(0), format="bgr24")))
        container.mux(stream.encode())
    with caplog.at_level(logging.ERROR), pytest.raises(InputError, match="128x48 pixels"):
        open_source("yard", str(path), max_picture_px=LIMIT_PX)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "origin"),
    [
        ("264", "libx264", 10.0, "as it states"),
        ("hevc", "libx265", 10.0, "as it states"),
        ("mjpeg", "mjpeg", 25.0, "which is a guess"),
        ("avi", "libx264", 10.0, ""),
    ],
)
def test_a_bare_stream_has_the_rate_of_its_header(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, codec: str, rate: float, origin: str
) -> None:
    """FFmpeg counts every bare stream as 25 frames per second; the times of both ways to play a file are equal."""
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey_picture(index, (96, 64)), format="bgr24")))
        container.mux(stream.encode())
    with VideoSource("a", str(path)) as source:
        times_s = [frame.time_s for frame in source]
        assert source.frame_rate == rate
    assert times_s == pytest.approx([index / rate for index in range(20)])
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == bool(origin)
    assert all(f"frames count as {rate:g} per second, {origin}" in text for text in said)

    live = AvStream(StreamAddress(str(path)), StreamOptions("tcp", 5.0, 5.0), Redactor())
    seen = [picture.stream_s for received in live.packets() for picture in received.pictures]
    live.close()
    assert seen[0] is not None
    assert [stamp_s and stamp_s - seen[0] for stamp_s in seen] == pytest.approx(times_s)
    caplog.clear()
    with VideoSource("a", str(path), frame_rate=5.0) as source:
        assert [frame.time_s for frame in source][-1] == pytest.approx(19 / 5)
    assert caplog.text == ""
