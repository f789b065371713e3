"""The committed files of demo/scene agree with each other."""

import csv
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

import demo
from demo.cameras import apply_homography
from demo.demo_scene import demo_scene
from demo.ground_truth import MIN_VISIBILITY

SCENE = Path(demo.__file__).parent / "scene"
CAMERAS = ("cam1", "cam2", "cam3")
FRAMES, SIZE = 300, (640, 360)


def ground_truth(camera: str) -> np.ndarray:
    """Rows of frame, id, left, top, width, height, flag, class, visibility."""
    return np.loadtxt(SCENE / f"{camera}_gt.txt", delimiter=",", ndmin=2)


def floor_positions() -> dict[tuple[int, int], np.ndarray]:
    with (SCENE / "floor.csv").open() as file:
        return {
            (int(row["frame_index"]), int(row["global_id"])): np.array([float(row["x_m"]), float(row["y_m"])])
            for row in csv.DictReader(file)
        }


def calibration() -> dict[str, np.ndarray]:
    entries = yaml.safe_load((SCENE / "cameras.yaml").read_text())["cameras"]
    assert [entry["source"] for entry in entries] == [f"{name}.mp4" for name in CAMERAS]
    return {entry["name"]: np.array(entry["homography"]) for entry in entries}


def test_the_whole_scene_is_small() -> None:
    assert sum(path.stat().st_size for path in SCENE.iterdir()) < 8_000_000


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_video_is_what_the_documentation_says(camera: str) -> None:
    with av.open(str(SCENE / f"{camera}.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == SIZE
        assert stream.average_rate == 10
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert sum(1 for _ in container.demux(stream) if _.size) == FRAMES


@pytest.mark.parametrize("camera", CAMERAS)
def test_rows_are_in_range_and_unique(camera: str) -> None:
    rows = ground_truth(camera)
    people = demo_scene().people
    assert len(rows) > FRAMES
    assert rows[:, 0].min() >= 1
    assert rows[:, 0].max() <= FRAMES
    assert set(rows[:, 1]) <= set(range(1, people + 1))
    assert len({(frame, person) for frame, person in rows[:, :2]}) == len(rows)
    assert np.all(rows[:, 2:4] >= 0)
    assert np.all(rows[:, 4:6] > 0)
    assert np.all(rows[:, 2] + rows[:, 4] <= SIZE[0] + 0.01)
    assert np.all(rows[:, 3] + rows[:, 5] <= SIZE[1] + 0.01)
    assert np.all(rows[:, 7] == 1)
    assert np.all((rows[:, 8] >= 0) & (rows[:, 8] <= 1))


@pytest.mark.parametrize("camera", CAMERAS)
def test_hidden_people_are_not_scored(camera: str) -> None:
    rows = ground_truth(camera)
    flag, visibility = rows[:, 6], rows[:, 8]
    assert set(flag) == {0, 1}
    assert np.all(flag[visibility < MIN_VISIBILITY - 0.005] == 0)
    assert np.all(flag[(visibility > MIN_VISIBILITY + 0.005) & (rows[:, 5] > 21)] == 1)


@pytest.mark.parametrize("camera", CAMERAS)
def test_visible_feet_come_to_the_floor_position(camera: str) -> None:
    rows, floor, homography = ground_truth(camera), floor_positions(), calibration()[camera]
    bottom = rows[:, 3] + rows[:, 5]
    whole = (
        (rows[:, 8] > 0.98) & (bottom < SIZE[1] - 1) & (rows[:, 2] > 1) & (rows[:, 2] + rows[:, 4] < SIZE[0] - 1)
    )
    rows = rows[whole]
    assert len(rows) > 100
    feet = np.column_stack([rows[:, 2] + rows[:, 4] / 2, rows[:, 3] + rows[:, 5]])
    positions = np.array([floor[int(frame) - 1, int(person)] for frame, person in rows[:, :2]])
    away_m = np.linalg.norm(apply_homography(homography, feet) - positions, axis=1)
    assert np.quantile(away_m, 0.9) < 0.17
    assert away_m.max() < 0.30

    # In a camera that looks down, people lean outwards at the sides of the image, and the middle of the box with
    # them: take that out.
    (view,) = (view for view in demo_scene().cameras if view.name == camera)
    at_hip = np.column_stack([positions, np.full(len(positions), 0.85)])
    at_foot = np.column_stack([positions, np.zeros(len(positions))])
    lean_px = view.project(at_hip, SIZE)[0][:, 0] - view.project(at_foot, SIZE)[0][:, 0]
    upright = feet - np.column_stack([lean_px, np.zeros(len(feet))])
    away_m = np.linalg.norm(apply_homography(homography, upright) - positions, axis=1)
    assert np.quantile(away_m, 0.9) < 0.10
    assert away_m.max() < 0.2


def test_the_scene_is_a_fair_test_of_identity() -> None:
    seen = {camera: ground_truth(camera) for camera in CAMERAS}
    people = range(1, demo_scene().people + 1)

    def frames(camera: str, person: int) -> set[int]:
        rows = seen[camera]
        return {int(frame) for frame in rows[(rows[:, 1] == person) & (rows[:, 6] == 1), 0]}

    cameras_of = {person: sum(len(frames(camera, person)) >= 10 for camera in CAMERAS) for person in people}
    assert sum(count >= 2 for count in cameras_of.values()) >= 8
    for person in people:
        anywhere = set().union(*(frames(camera, person) for camera in CAMERAS))
        assert len(anywhere) < FRAMES, f"person {person} is always in view"
    for camera, rows in seen.items():
        _, at_once = np.unique(rows[rows[:, 6] == 1, 0], return_counts=True)
        assert at_once.max() <= 7, camera


def test_the_calibration_is_that_of_the_cameras() -> None:
    settings = demo_scene()
    homographies = calibration()
    for camera in settings.cameras:
        pixels, _ = camera.project(np.array([[8.0, 4.5, 0.0], [24.0, 4.0, 0.0]]), settings.size_wh)
        floor = apply_homography(homographies[camera.name], pixels)
        assert floor == pytest.approx(np.array([[8.0, 4.5], [24.0, 4.0]]), abs=1e-3)


def test_outfits_are_distinct_but_some_share_a_shirt() -> None:
    outfits = demo_scene().outfits
    assert outfits is not None
    shirts = [(outfit.top, outfit.second, outfit.pattern) for outfit in outfits]
    whole = {(*shirt, outfit.bottom) for shirt, outfit in zip(shirts, outfits, strict=True)}
    assert len(whole) == len(outfits)
    assert len(set(shirts)) <= len(outfits) - 3
