"""Labelled crops from recordings: which boxes, under which names, with which pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.commands.reid.crop_export import CropRules, write_crops
from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.files.track_boxes import TrackBoxes
from reid.datasets import read_dataset
from tests.helpers.demo_clips import cut, cut_ground_truth

RULES = CropRules(interval_s=0.4, height_min_px=20, overlap_max=0.4)


def frames(count: int) -> Iterator[Frame]:
    """10 frames a second, 80 x 60, left half blue, right half red."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, :40] = (200, 0, 0)  # BGR
    image[:, 40:] = (0, 0, 200)
    for index in range(count):
        yield Frame("cam", index, index / 10, (80, 60), image)


def boxes(*rows: tuple[int, int, Sequence[float]]) -> TrackBoxes:
    """Rows of (frame index, person, xyxy)."""
    return TrackBoxes(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64).reshape(-1, 4),
        np.ones(len(rows)),
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_person_is_cut_out_at_intervals(tmp_path: Path) -> None:
    still = boxes(*[(index, 7, (5, 5, 25, 45)) for index in range(10)], (2, 12, (50, 10, 70, 40)))
    count = write_crops(frames(10), still, tmp_path, camera_number=3, rules=RULES)
    # 0 s, 0.4 s and 0.8 s
    assert names(tmp_path) == ["0007_c3_00.jpg", "0007_c3_01.jpg", "0007_c3_02.jpg", "0012_c3_00.jpg"]
    assert count == 4
    with Image.open(tmp_path / "0007_c3_00.jpg") as crop:
        assert crop.size == (20, 40)
        assert np.asarray(crop).mean(axis=(0, 1)) == pytest.approx([0, 0, 200], abs=8)
    crops = read_dataset(tmp_path).query
    assert [(crop.person_id, crop.camera) for crop in crops.crops] == [(7, "c3")] * 3 + [(12, "c3")]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([(0, 1, (5, 5, 25, 24))], [], id="too low"),
        pytest.param([(0, 1, (5, 45, 25, 90))], [], id="too low inside the image"),
        pytest.param([(0, 1, (-10, 5, 15, 45))], ["0001_c1_00.jpg"], id="cut off at the border"),
        pytest.param([(0, 1, (-30, 5, -5, 45))], [], id="outside"),
        pytest.param(
            [(0, 1, (0, 0, 20, 40)), (0, 2, (10, 0, 30, 40))], [], id="half of each is covered by the other"
        ),
        pytest.param(
            [(0, 1, (0, 0, 20, 40)), (0, 2, (14, 0, 34, 40))],
            ["0001_c1_00.jpg", "0002_c1_00.jpg"],
            id="three tenths covered",
        ),
        pytest.param([(20, 1, (0, 0, 20, 40))], [], id="after the last frame"),
    ],
)
def test_which_boxes(rows: list[tuple[int, int, tuple[float, ...]]], expected: list[str], tmp_path: Path) -> None:
    assert write_crops(frames(2), boxes(*rows), tmp_path, camera_number=1, rules=RULES) == len(expected)
    assert names(tmp_path) == expected


def test_command_on_the_demo_scene(tmp_path: Path) -> None:
    arguments = ["crops", "--output", str(tmp_path / "crops"), "--interval-s", "0.5", "--height-min-px", "40"]
    for camera in ("cam1", "cam2"):
        arguments += ["--video", f"{camera}={cut(camera, 12, tmp_path / f'{camera}.mp4', 100)}"]
        arguments += ["-g", f"{camera}={cut_ground_truth(camera, 12, tmp_path / f'{camera}.txt', 100)}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "cam2 is c2" in result.output
    crops = read_dataset(tmp_path / "crops").query
    assert crops.cameras == ("c1", "c2")
    people_of = [{c.person_id for c in crops.crops if c.camera == camera} for camera in crops.cameras]
    assert people_of[0] & people_of[1]
    assert len(crops) > len(crops.person_ids) > 3

    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, InputError)
    assert "is not an empty folder" in str(again.exception)


def test_command_takes_image_folders_and_mot_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sequence = tmp_path / "sequence"
    for folder in (tmp_path / "images", sequence / "img1"):
        folder.mkdir(parents=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(folder / f"{number:06d}.jpg"), np.full((100, 100, 3), 90, np.uint8))
    (sequence / "seqinfo.ini").write_text("[Sequence]\nframeRate=10\nimDir=img1\nseqLength=3\n")
    truth = tmp_path / "gt.txt"
    truth.write_text("1,7,10,10,30,80,1,1,1\n3,7,10,10,30,80,1,1,1\n")
    arguments = ["crops", "--video", "a=~/images", "--video", f"b={sequence}", "-g", f"a={truth}"]
    arguments += ["-g", f"b={truth}", "--interval-s", "0.2", "--output", str(tmp_path / "crops")]

    without_rate = CliRunner().invoke(app, arguments)
    assert "have no frame rate" in str(without_rate.exception)
    assert not (tmp_path / "crops").exists()

    result = CliRunner().invoke(app, [*arguments, "--frame-rate", "10"])
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "crops") == [
        f"0007_{camera}_{number:02d}.jpg" for camera in ("c1", "c2") for number in (0, 1)
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "give either --ground-truth for every camera, or --trajectories"),
        (["-g", "cam9={truth}"], "camera cam1 has no boxes; there are boxes of cam9"),
        (["-g", "cam1={truth}", "--video", "cam1"], "expected CAMERA=SOURCE, such as --video cam1=cam1.mp4"),
    ],
)
def test_missing_boxes_are_named(options: list[str], problem: str, tmp_path: Path) -> None:
    (tmp_path / "cam1.mp4").touch()
    truth = tmp_path / "gt.txt"
    truth.write_text("1,1,0,0,10,10,1,1,1\n")
    arguments = ["crops", "--video", f"cam1={tmp_path / 'cam1.mp4'}", "--output", str(tmp_path / "crops")]
    result = CliRunner().invoke(app, [*arguments, *(option.format(truth=truth) for option in options)])
    assert isinstance(result.exception, InputError)
    assert problem in str(result.exception)
