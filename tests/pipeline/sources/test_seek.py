"""Recordings that are entered in the middle: the pictures and times are those of reading from the beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.datatypes import Frame
from pipeline.sources.base import BrokenSource
from pipeline.sources.cropped import CroppedSource
from pipeline.sources.open import open_source
from tests.helpers.media import grey_picture, index_of, noisy_picture, write_pictures, write_stamped, write_video

FRAMES = 60
_IRREGULAR_S = [0.0, 0.1, 0.2, 0.5, 0.6, 1.4, 1.5, 1.6, 1.7, 3.0, 3.1, 3.2]


@pytest.mark.parametrize("wanted_s", [0.0, 0.05, 1.0, 2.55, 5.9, 7.0])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_video_is_entered_at_a_key_frame(tmp_path: Path, name: str, wanted_s: float) -> None:
    pictures = [noisy_picture(index) for index in range(FRAMES)]
    path = str(write_video(tmp_path / name, pictures, max_b_frames=2))
    whole = {round(frame.time_s, 3): frame for frame in open_source("a", path, start_s=5.0)}
    source = open_source("a", path, start_s=5.0)
    assert source.seek(wanted_s)
    frames = list(source)
    assert frames[0].time_s <= 5.0 + wanted_s + 1e-6
    for frame in frames:
        assert frame.image is not None
        same = whole[round(frame.time_s, 3)]
        assert frame.frame_index == same.frame_index
        assert (frame.image == same.image).all()
    assert frames[-1].frame_index == FRAMES - 1
    assert wanted_s < 3 or len(frames) < FRAMES


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_moment_long_after_the_end_gives_the_last_frames(tmp_path: Path, name: str) -> None:
    source = open_source("a", str(write_video(tmp_path / name, [grey_picture(index) for index in range(20)])))
    assert source.seek(1e300)
    assert list(source)[-1].frame_index == 19


def test_a_recording_without_an_index_says_that_there_is_no_such_moment(tmp_path: Path) -> None:
    source = open_source("a", str(write_video(tmp_path / "a.ts", [grey_picture(index) for index in range(20)])))
    with pytest.raises(BrokenSource, match="has no frame at"):
        source.seek(1e300)


def test_times_of_an_irregular_video_stay_exact(tmp_path: Path) -> None:
    path = str(write_stamped(tmp_path / "a.mp4", _IRREGULAR_S))
    for wanted_s in _IRREGULAR_S:
        source = open_source("a", path)
        assert source.seek(wanted_s)
        times = [round(frame.time_s, 3) for frame in source]
        assert times == _IRREGULAR_S[-len(times) :]
        assert times[0] <= wanted_s


_GAPS = [*range(20), *range(50, 90)]


def _read_from(path: Path, wanted_s: float) -> list[Frame]:
    """The frames from a moment on, each of which must be the one that has its time when the file is read in order."""
    whole = {round(frame.time_s, 3): frame for frame in open_source("a", str(path))}
    source = open_source("a", str(path))
    assert source.seek(wanted_s)
    frames = list(source)
    for frame in frames:
        assert frame.image is not None
        assert (frame.image == whole[round(frame.time_s, 3)].image).all()
    assert frames[0].time_s <= wanted_s + 1e-6
    assert round(frames[-1].time_s, 3) == max(whole)
    return frames


@pytest.mark.parametrize("wanted_s", [0.0, 0.05, 2.55, 4.0, 5.9, 1e300])
@pytest.mark.parametrize(
    ("codec", "pix_fmt", "pts"),
    [
        ("mjpeg", "yuvj420p", None),
        ("mpeg4", "yuv420p", None),
        ("mpeg4", "yuv420p", _GAPS),
        ("libx264", "yuv420p", _GAPS),
    ],
    ids=["mjpeg", "mpeg4", "mpeg4 with a gap", "h264 with a gap"],
)
def test_an_avi_is_entered_by_its_index(
    tmp_path: Path, codec: str, pix_fmt: str, pts: list[int] | None, wanted_s: float
) -> None:
    pictures = [noisy_picture(index) for index in range(FRAMES)]
    path = write_video(tmp_path / "a.avi", pictures, codec=codec, pix_fmt=pix_fmt, max_b_frames=0, pts=pts)
    frames = _read_from(path, wanted_s)
    assert wanted_s < 2 or len(frames) <= FRAMES - 19


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_an_avi_in_another_order_is_read_from_its_beginning(tmp_path: Path, codec: str) -> None:
    """Times are those of packets, which would be wrong after the first B frames."""
    pictures = [noisy_picture(index) for index in range(20)]
    source = open_source("a", str(write_video(tmp_path / "a.avi", pictures, codec=codec, max_b_frames=2)))
    assert not source.seek(1.5)
    assert next(iter(source)).time_s == 0


def test_an_avi_without_an_index_is_entered_early(tmp_path: Path) -> None:
    pictures = [noisy_picture(index) for index in range(FRAMES)]
    path = write_video(tmp_path / "a.avi", pictures, codec="mpeg4", max_b_frames=0)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"idx1")])
    assert len(_read_from(path, 5.0)) > FRAMES / 2


def test_an_index_that_calls_every_frame_a_key_frame_does_not_spoil_pictures(tmp_path: Path) -> None:
    pictures = [noisy_picture(index) for index in range(FRAMES)]
    path = write_video(tmp_path / "a.avi", pictures, codec="mpeg4", max_b_frames=0)
    content = bytearray(path.read_bytes())
    start = content.rindex(b"idx1") + 8
    for entry in range(start, start + 16 * FRAMES, 16):
        content[entry + 4] |= 0x10
    path.write_bytes(content)
    for wanted_s in (0.3, 2.5, 2.7, 5.8):
        _read_from(path, wanted_s)


def test_what_has_no_times_begins_at_its_first_frame(tmp_path: Path) -> None:
    pictures = [grey_picture(index) for index in range(10)]
    forced = open_source("a", str(write_video(tmp_path / "a.mp4", pictures)), frame_rate=5.0)
    assert not forced.seek(1.0)
    assert next(iter(forced)).frame_index == 0


@pytest.mark.parametrize(
    ("wanted_s", "index"), [(-1.0, 0), (0.0, 0), (0.298, 2), (0.2995, 3), (0.3, 3), (0.35, 3), (9.0, 9)]
)
def test_pictures_are_entered_anywhere(tmp_path: Path, wanted_s: float, index: int) -> None:
    folder = tmp_path / "cam"
    write_pictures(folder, [grey_picture(number) for number in range(10)])
    source = CroppedSource(open_source("a", str(folder), frame_rate=10.0), (0, 0, 32, 24))
    assert source.seek(wanted_s)
    first = next(iter(source))
    assert first.image is not None
    assert (first.frame_index, index_of(first.image)) == (index, index)
    assert first.time_s == pytest.approx(index / 10)
