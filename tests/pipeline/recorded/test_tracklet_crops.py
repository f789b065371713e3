"""Crops of tracks, cut out of the recordings they were found in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import Config, load_config
from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.core.errors import InputError
from pipeline.files.results_csv import TrajectoryWriter
from pipeline.recorded.tracklet_crops import CropChoice, tracklet_crops
from tests.helpers.media import write_video

# Left, top, right, bottom of two people who stand still, apart from each other and from the border.
LEFT, RIGHT = (20.0, 20.0, 50.0, 100.0), (100.0, 20.0, 130.0, 100.0)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two cameras, 20 frames of 160 x 120; camera a's frame i is grey i x 8, camera b is white on the right half."""
    folder = tmp_path_factory.mktemp("videos")
    grey = [np.full((120, 160, 3), index * 8, np.uint8) for index in range(20)]
    half = np.zeros((120, 160, 3), np.uint8)
    half[:, 80:] = 255
    write_video(folder / "a.mp4", grey, frame_rate=10)
    write_video(folder / "b.mp4", [half] * 20, frame_rate=10)
    cameras = [{"name": name, "source": str(folder / f"{name}.mp4")} for name in "ab"]
    return load_config(None, {"cameras": cameras})


def write_tracks(
    folder: Path,
    tracks: dict[tuple[str, int], dict[int, tuple[float, ...]]],
    cars: Sequence[tuple[str, int]] = (),
    **changes: float,
) -> Path:
    with TrajectoryWriter(folder, ["a", "b"], None) as writer:
        for (camera, track_id), boxes in tracks.items():
            for frame, xyxy in boxes.items():
                name = "car" if (camera, track_id) in cars else "person"
                row = TrajectoryRow(
                    camera, track_id, frame, frame / 10, name, (*xyxy,), changes.get("confidence", 0.9)
                )
                writer.write(LinkedRow(row, Link(track_id, 1.0)))
    return folder


def test_crops_are_spread_over_each_track(config: Config, tmp_path: Path) -> None:
    tracks = {
        ("a", 1): dict.fromkeys(range(0, 20), LEFT),
        ("b", 1): dict.fromkeys(range(2, 12), LEFT),
        ("b", 2): dict.fromkeys(range(5, 20), RIGHT),
    }
    folder = write_tracks(tmp_path, tracks)
    crops = tracklet_crops(config, folder, size_hw=(32, 16), choice=CropChoice(crops_per_track=4))
    assert crops.camera_names == ("a", "b")
    assert crops.camera.tolist() == [0, 1, 1]
    assert crops.track.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert crops.images.shape == (12, 3, 32, 16)
    # First, last and between: frames 0, 6, 13 and 19, whose grey survives coding within a few levels.
    assert np.abs(crops.images[:4].mean(axis=(1, 2, 3)) - np.array([0, 48, 104, 152])).max() < 6
    assert crops.images[4:8].mean() < 10
    assert crops.images[8:].mean() > 245
    assert crops.start_s.tolist() == pytest.approx([0.0, 0.2, 0.5])
    assert crops.end_s.tolist() == pytest.approx([1.9, 1.1, 1.9])
    assert crops.exclusive.tolist() == [[False] * 3, [False, False, True], [False, True, False]]


@pytest.mark.parametrize(
    ("box", "confidence"),
    [
        pytest.param((0.0, 20.0, 30.0, 100.0), 0.9, id="cut off by the border"),
        pytest.param((20.0, 20.0, 30.0, 50.0), 0.9, id="too small"),
        pytest.param(LEFT, 0.3, id="unsure"),
    ],
)
def test_bad_boxes_give_no_crops(
    config: Config, tmp_path: Path, box: tuple[float, ...], confidence: float
) -> None:
    folder = write_tracks(tmp_path, {("a", 1): dict.fromkeys(range(20), box)}, confidence=confidence)
    with pytest.raises(InputError, match="no track of these recordings has 4 good boxes"):
        tracklet_crops(config, folder, size_hw=(32, 16), choice=CropChoice())


def test_people_who_cover_each_other_give_no_crops(config: Config, tmp_path: Path) -> None:
    """Covered for all but five frames: those are the crops."""
    near = (30.0, 22.0, 60.0, 102.0)
    tracks = {
        ("a", 1): dict.fromkeys(range(20), LEFT),
        ("a", 2): {frame: near if frame < 15 else RIGHT for frame in range(20)},
    }
    crops = tracklet_crops(config, write_tracks(tmp_path, tracks), size_hw=(32, 16), choice=CropChoice())
    assert crops.track.tolist() == [0] * 5 + [1] * 5
    assert np.abs(crops.images[0].mean() - 15 * 8) < 6


def test_tracks_count_as_seen_also_where_their_boxes_are_bad(config: Config, tmp_path: Path) -> None:
    """Good boxes in frames 0 to 4 and 10 to 14, but both are there in frames 5 to 9: two people."""
    cut_off = (0.0, 20.0, 30.0, 100.0)
    tracks = {
        ("a", 1): {frame: LEFT if frame < 5 else cut_off for frame in range(10)},
        ("a", 2): {frame: (90.0, 100.0, 110.0, 120.0) if frame < 10 else RIGHT for frame in range(5, 15)},
    }
    crops = tracklet_crops(config, write_tracks(tmp_path, tracks), size_hw=(32, 16), choice=CropChoice())
    assert crops.track.tolist() == [0] * 5 + [1] * 5
    assert crops.start_s.tolist() == pytest.approx([0.0, 0.5])
    assert crops.end_s.tolist() == pytest.approx([0.9, 1.4])
    assert crops.exclusive[0, 1]


def test_of_many_tracks_the_longest_are_taken(config: Config, tmp_path: Path) -> None:
    tracks = {
        ("a", 1): dict.fromkeys(range(5), LEFT),
        ("a", 2): dict.fromkeys(range(6, 18), LEFT),
        ("a", 3): dict.fromkeys(range(0, 8), RIGHT),
    }
    choice = CropChoice(crops_per_track=2, max_tracks_per_camera=2)
    crops = tracklet_crops(config, write_tracks(tmp_path, tracks), size_hw=(32, 16), choice=choice)
    assert crops.start_s.tolist() == pytest.approx([0.6, 0.0])


def test_tracks_of_classes_that_the_embedder_is_not_for_are_left_out(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near = (30.0, 22.0, 60.0, 102.0)
    tracks = {
        ("a", 1): dict.fromkeys(range(20), LEFT),
        ("a", 2): {frame: near if frame < 15 else RIGHT for frame in range(20)},
        ("b", 1): dict.fromkeys(range(20), LEFT),
    }
    folder = write_tracks(tmp_path, tracks, cars=[("a", 2), ("b", 1)])
    crops = tracklet_crops(config, folder, size_hw=(32, 16), choice=CropChoice())
    # The car covers the person for 15 frames.
    assert (crops.camera_names, crops.track.tolist()) == (("a",), [0] * 5)
    assert "2 tracks of the class car are left out: the embedder is not for it" in caplog.text


def test_capitals_in_names_of_classes_do_not_matter(config: Config, tmp_path: Path) -> None:
    embedder = config.embedder.model_copy(update={"classes": ["Person"]})
    folder = write_tracks(tmp_path, {("a", 1): dict.fromkeys(range(20), LEFT)})
    changed = config.model_copy(update={"embedder": embedder})
    assert len(tracklet_crops(changed, folder, size_hw=(32, 16), choice=CropChoice()).images) == 8
