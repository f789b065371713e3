"""Renders for training; those that draw people need the pictures of openpeople."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import demo.training_set as training_set
from demo.__main__ import app
from demo.background import render_background
from demo.demo_scene import OUTFITS
from demo.hall import build_hall
from demo.light_map import light_map
from demo.people import Wardrobe
from demo.settings import DEMO_CAMERAS
from demo.training_set import (
    TrainingScene,
    place_people,
    random_camera,
    random_hall,
    random_outfit,
    render_pictures,
    write_training_set,
)
from pipeline.core.errors import InputError

needs_openpeople = pytest.mark.skipif(
    importlib.util.find_spec("openpeople") is None,
    reason="openpeople is not installed: pip install -e .[demo-scene]",
)
SIZE_WH = (160, 120)


@pytest.fixture(scope="module")
def scene() -> TrainingScene:
    """The demo's hall without furniture and with plain light, from a camera that sees much of the lobby."""
    hall = replace(build_hall(1000), lamps=())
    hall = replace(hall, boxes=hall.boxes[:6], plants=())
    camera = replace(DEMO_CAMERAS[0], name="training")
    lights = light_map(hall)
    background = render_background(hall, lights, camera, SIZE_WH, supersampling=1)
    looks = ()
    if importlib.util.find_spec("openpeople") is not None:
        looks = (Wardrobe().dress("P001", random_outfit(np.random.default_rng(0)), 1.7),)
    return TrainingScene(hall, lights, background, camera, SIZE_WH, looks, (training_set.STREAM, 0, 0))


class TestNothingOfTheDemoSceneComesBack:
    def test_no_garment_has_a_colour_near_one_of_its_people(self) -> None:
        rng = np.random.default_rng(0)
        drawn = [random_outfit(rng) for _ in range(300)]
        for part in ("top", "bottom"):
            ours = np.array([getattr(outfit, part) for outfit in drawn])
            theirs = np.array([getattr(outfit, part) for outfit in OUTFITS])
            difference = np.abs(ours[:, None] - theirs[None]).max(axis=2)
            assert difference.min() >= training_set.MIN_COLOUR_DIFFERENCE
            assert ours.std(axis=0).min() > 30, "colours of all kinds"

    def test_no_camera_stands_and_looks_like_one_of_its_cameras(self) -> None:
        rng, hall = np.random.default_rng(0), build_hall(1000)
        for _ in range(60):
            camera = random_camera(rng, hall)
            for known in DEMO_CAMERAS:
                apart = np.linalg.norm(np.subtract(camera.position_m, known.position_m))
                angle = np.degrees(np.arccos(np.clip(camera.rotation()[2] @ known.rotation()[2], -1, 1)))
                assert apart >= 1.5 or angle >= 30

    def test_the_hall_is_another_one(self) -> None:
        theirs = build_hall(0)
        places = {(box.low_m, box.high_m) for box in theirs.boxes if box.high_m[2] < 2}
        halls = [random_hall(np.random.default_rng(seed)) for seed in range(5)]
        assert len({hall.floor_tint for hall in halls}) == 5
        for hall in halls:
            assert not {box.colour for box in hall.boxes} & {box.colour for box in theirs.boxes}
            assert {(box.low_m, box.high_m) for box in hall.boxes} - places, "something was moved"

    def test_people_are_placed_anew_in_every_picture(self, scene: TrainingScene) -> None:
        drawn = [place_people(np.random.default_rng([1, number]), scene) for number in range(12)]
        spots = [tuple(s.position_m) for standing in drawn for s in standing]
        assert len(spots) > 12
        assert len(set(spots)) == len(spots)
        assert len({len(standing) for standing in drawn}) > 3, "crowds of several sizes"


@needs_openpeople
class TestPictures:
    def test_every_person_has_a_box_and_every_box_a_person(self, scene: TrainingScene) -> None:
        drawn = 0
        empty = next(iter(_without_people(scene)))
        for picture in render_pictures(scene, 3):
            assert picture.image.shape == (120, 160, 3)
            assert (picture.xyxy >= 0).all()
            assert (picture.xyxy[:, 2:] <= SIZE_WH).all()
            assert (picture.xyxy[:, 3] - picture.xyxy[:, 1] >= training_set.MIN_HEIGHT_PX).all()
            changed = np.abs(picture.image.astype(int) - empty.astype(int)).max(axis=2) > 25
            for left, top, right, bottom in picture.xyxy.round().astype(int):
                assert changed[top:bottom, left:right].mean() > 0.05
            drawn += len(picture.xyxy)
        assert drawn > 3

    def test_the_same_seed_gives_the_same_pictures(self, scene: TrainingScene) -> None:
        first, again = ([*render_pictures(scene, 2)] for _ in range(2))
        other = [*render_pictures(replace(scene, seed=(training_set.STREAM, 1, 0)), 2)]
        for a, b, c in zip(first, again, other, strict=True):
            assert np.array_equal(a.image, b.image)
            assert np.array_equal(a.xyxy, b.xyxy)
            assert not np.array_equal(a.image, c.image)

    def test_files(self, scene: TrainingScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(training_set, "draw_scene", lambda seed, number, wardrobe: scene)
        result = CliRunner().invoke(
            app, ["training-set", "--output", str(tmp_path), "--scenes", "2", "--pictures", "1", "--seed", "5"]
        )
        assert result.exit_code == 0
        names = sorted(file.stem for file in (tmp_path / "images" / "train").iterdir())
        assert names == ["renders5_000001", "renders5_000002"]
        lines = sum(len(file.read_text().splitlines()) for file in (tmp_path / "labels" / "train").iterdir())
        assert result.output.startswith(f"2 pictures with {lines} people")
        with pytest.raises(InputError, match="holds frames of renders5 already"):
            write_training_set(tmp_path, scenes=1, pictures=1, seed=5)


def _without_people(scene: TrainingScene) -> list[np.ndarray]:
    renderer = training_set.CameraRenderer(scene.camera, SIZE_WH, scene.background, scene.lights, scene.hall)
    return [renderer.draw({}, [], 0, np.random.default_rng(0))[0]]


@pytest.mark.parametrize(("scenes", "pictures", "seed"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_numbers_that_make_no_set(tmp_path: Path, scenes: int, pictures: int, seed: int) -> None:
    with pytest.raises(InputError, match="give 1 or more"):
        write_training_set(tmp_path / "set", scenes=scenes, pictures=pictures, seed=seed)
    assert not (tmp_path / "set").exists()
