"""MOTChallenge sequences whose pictures do not begin with 1, or not all of which are there."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.commands.link import link
from pipeline.config.config import load_config
from pipeline.files.results_csv import read_trajectories
from pipeline.recorded.track import track
from tests.helpers.media import write_pictures


def sequence(folder: Path, numbers: range, frame_rate: int, hidden: set[int]) -> tuple[Path, Path]:
    """A sequence with a person who walks to the right, and the det.txt of the whole original, without the numbers
    `hidden`."""
    (folder / "img1").mkdir(parents=True)
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname=S\nframeRate={frame_rate}\n")
    lines = []
    for number in range(1, numbers[-1] + 20):
        if number not in hidden:
            lines.append(f"{number},-1,{100 + number / 2:.1f},50,40,100,0.9,-1,-1,-1")
        if number in numbers:
            write_pictures(folder / "img1", [np.full((240, 640, 3), 99, np.uint8)], "{:06d}.jpg", first=number)
    (folder / "det.txt").write_text("\n".join(lines) + "\n")
    return folder, folder / "det.txt"


@pytest.mark.parametrize(
    "numbers", [range(301, 331), range(305, 405, 5), range(3, 63, 2)], ids=["cut", "every fifth", "every second"]
)
def test_detections_belong_to_the_picture_of_their_number(tmp_path: Path, numbers: range) -> None:
    hidden = {numbers[10]}
    folder, detections = sequence(tmp_path / "seq", numbers, 25, hidden)
    config = load_config(
        None,
        {
            "cameras": [{"name": "a", "source": str(folder)}],
            "embedder": {"weights": None},
            "output": {"interpolate": True},
        },
    )
    summary = track(config, tmp_path / "out", detections={"a": detections})
    assert summary.cameras["a"].frames == len(numbers)

    def check() -> None:
        rows = [linked.row for linked in read_trajectories(tmp_path / "out" / "trajectories.csv")]
        assert [row.frame_index + 1 for row in rows] == list(numbers)
        assert [row.frame_index + 1 for row in rows if row.interpolated] == sorted(hidden)
        for row in rows:
            assert row.xyxy[0] == pytest.approx(100 + (row.frame_index + 1) / 2, abs=0.06)
            assert row.time_s == pytest.approx((row.frame_index + 1 - numbers[0]) / 25, abs=0.001)

    check()
    lines = (tmp_path / "out" / "mot" / "a.txt").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in lines] == list(numbers)
    noted = json.loads((tmp_path / "out" / "run.json").read_text())["cameras"]["a"]
    assert (noted["index_step"], noted["frame_rate"]) == (numbers.step, 25 / numbers.step)
    link([tmp_path / "out"], overwrite=True)
    check()


def test_every_fifth_frame_with_boxes_is_found_in_a_cut_sequence(tmp_path: Path) -> None:
    folder, detections = sequence(tmp_path / "seq", range(303, 343), 25, {n for n in range(1, 400) if n % 5 != 1})
    config = load_config(None, {"cameras": [{"name": "a", "source": str(folder)}], "embedder": {"weights": None}})
    assert track(config, tmp_path / "out", detections={"a": detections}).cameras["a"].boxes == 8


def test_the_video_shows_only_the_frames_that_have_boxes(tmp_path: Path) -> None:
    folder, detections = sequence(tmp_path / "seq", range(1, 21), 25, set(range(1, 61, 2)))
    config = load_config(
        None,
        {
            "cameras": [{"name": "a", "source": str(folder)}],
            "embedder": {"weights": None},
            "output": {"video": True},
        },
    )
    assert track(config, tmp_path / "out", detections={"a": detections}).cameras["a"].frames == 10
    with av.open(str(tmp_path / "out" / "trajectories.mp4")) as video:
        assert (video.streams.video[0].frames, video.streams.video[0].average_rate) == (10, 12.5)
