"""A part of a recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.sources.images import ImageSource, image_files
from pipeline.sources.part import PartOfSource
from tests.helpers.media import grey_picture, write_pictures

WORLD = SimulatedWorld(cameras=1)  # ten frames a second


@pytest.mark.parametrize(
    ("window", "indices"),
    [
        pytest.param({}, range(30), id="all"),
        pytest.param({"start_s": 1.0}, range(10, 30), id="from"),
        pytest.param({"end_s": 1.0}, range(10), id="until"),
        pytest.param({"start_s": 0.5, "end_s": 1.0}, range(5, 10), id="window"),
        pytest.param({"stride": 3}, range(0, 30, 3), id="every third"),
        pytest.param({"start_s": 0.5, "end_s": 1.0, "stride": 2}, [6, 8], id="both"),
        pytest.param({"start_s": 9.0}, [], id="behind the end"),
    ],
)
def test_frames_keep_their_index_and_time(window: dict[str, float], indices: list[int]) -> None:
    (source,) = WORLD.sources(30)
    part = PartOfSource(source, **window)  # type: ignore[arg-type]
    frames = list(part)
    assert [frame.frame_index for frame in frames] == list(indices)
    assert [frame.time_s for frame in frames] == pytest.approx([index / 10 for index in indices])
    assert part.frame_rate == pytest.approx(10 / window.get("stride", 1))
    assert part.frame_count in (None, len(frames))


@pytest.mark.parametrize(
    ("numbers", "stride", "kept"),
    [
        pytest.param(range(303, 320), 5, [305, 310, 315], id="cut: the same frames as of the whole"),
        pytest.param(range(303, 340, 5), 5, range(302, 339, 5), id="every fifth frame, all of them"),
        pytest.param(range(303, 340, 5), 2, [302, 312, 322, 332], id="every fifth frame, every second of them"),
        pytest.param(range(304, 350, 4), 6, [307, 319, 331, 343], id="every fourth frame, every third of them"),
    ],
)
def test_a_cut_recording_is_thinned_like_the_whole_one(
    tmp_path: Path, numbers: range, stride: int, kept: list[int]
) -> None:
    indices = [number - 1 for number in numbers]
    write_pictures(tmp_path, [grey_picture(0)] * len(indices))
    files = image_files(tmp_path)
    source = ImageSource("a", str(tmp_path), files, frame_rate=10.0, indices=indices)
    assert [frame.frame_index for frame in PartOfSource(source, stride=stride)] == list(kept)


def test_nothing_behind_the_window_is_decoded() -> None:
    (source,) = WORLD.sources(1_000_000)
    assert len(list(PartOfSource(source, end_s=2.0))) == 20
