"""Recordings that are entered in the middle: the pictures and times are those of reading from the beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

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
