"""Rendered crops: what is drawn by chance, bodies, and whole sets of figures made of blocks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from demo.__main__ import app
from demo.reid_crops.avatars import load_avatar
from demo.reid_crops.collection import CropSettings, draw_sheet, draw_visits, read_wardrobe, write_crops
from demo.reid_crops.figures import dress, put
from demo.reid_crops.looks import ALIKE_SHARE, Look, Wardrobe, draw_look, draw_people
from demo.reid_crops.painting import paint
from demo.reid_crops.parts import Part
from demo.reid_crops.photograph import photograph
from demo.reid_crops.places import draw_places
from demo.reid_crops.poses import draw_pose
from demo.reid_crops.surfaces import FLOORS, WALLS, draw_floor, draw_wall
from pipeline.core.errors import InputError
from reid.datasets import read_dataset
from tests.helpers.tiny_avatars import write_tiny_avatars

WARDROBE = Wardrobe(is_woman=(False, True, False, True), has_wig=(False, True, False, True))


@pytest.fixture(scope="module")
def opengl() -> None:
    """Skips where nothing can be drawn; asked in a process of its own, since OpenGL and PyTorch share none."""
    code = "from demo.reid_crops.rasteriser import Rasteriser; Rasteriser().close()"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if asked.returncode:
        pytest.skip(f"nothing can be drawn here: {asked.stderr.strip().splitlines()[-1:]}")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Avatars and their cache."""
    root = tmp_path_factory.mktemp("tiny")
    write_tiny_avatars(root / "avatars", root / "cache")
    return root / "avatars", root / "cache"


def settings(folders: tuple[Path, Path], **changes: object) -> CropSettings:
    avatars, cache = folders
    plain = CropSettings(avatars, cache, None, people=3, crops_per_person=4, seed=5, workers=1)
    return replace(plain, **changes)  # type: ignore[arg-type]


class TestPeople:
    def test_a_seed_gives_the_same_people(self) -> None:
        assert draw_people(3, 50, WARDROBE) == draw_people(3, 50, WARDROBE)
        assert draw_people(3, 50, WARDROBE) != draw_people(4, 50, WARDROBE)

    def test_the_first_people_do_not_depend_on_how_many_follow(self) -> None:
        assert draw_people(3, 50, WARDROBE)[:20] == draw_people(3, 20, WARDROBE)

    def test_nobody_comes_twice(self) -> None:
        people = draw_people(0, 400, WARDROBE)
        assert len({str(asdict(look)) for look in people}) == 400

    def test_look_alikes_differ_in_more_than_their_body_but_not_in_much(self) -> None:
        body = {"height", "girth", "belly", "gait"}
        pairs = [(a, b) for a, b in pairwise(draw_people(1, 3000, WARDROBE)) if _alike(a, b)]
        assert len(pairs) > 300
        for look, other in pairs:
            differ = {name for name, value in asdict(look).items() if asdict(other)[name] != value} - body
            assert 1 <= len(differ) <= 18  # two looks, each three things with their colours off the first one

    def test_about_the_promised_share_has_look_alikes(self) -> None:
        people = draw_people(0, 3000, WARDROBE)
        same = [_alike(a, b) for a, b in pairwise(people)]
        grouped = np.array([False, *same]) | np.array([*same, False])
        assert grouped.mean() == pytest.approx(ALIKE_SHARE, abs=0.05)

    def test_most_clothes_are_dark_or_dull(self) -> None:
        people = draw_people(0, 2000, WARDROBE)
        tops = np.array([look.top for look in people]) / 255
        spread = tops.max(axis=1) - tops.min(axis=1)
        assert (spread < 0.25).mean() > 0.55
        assert 0.15 < (tops.max(axis=1) < 0.22).mean() < 0.35  # black
        assert 0.08 < (tops.min(axis=1) > 0.7).mean() < 0.25  # white
        bottoms = np.array([look.bottom for look in people]) / 255
        assert bottoms.mean() < tops.mean()


def _alike(first: Look, second: Look) -> bool:
    """Nobody draws the same loose fit twice by chance."""
    return first.loose_top == second.loose_top


class TestPlaces:
    def test_there_are_dozens_of_cameras_numbered_from_1(self) -> None:
        places, cameras = draw_places(0)
        assert [camera.number for camera in cameras] == list(range(1, len(cameras) + 1))
        assert len(cameras) >= 40
        assert {camera.place for camera in cameras} == set(range(len(places)))

    @pytest.mark.parametrize("crops", [2, 3, 8])
    def test_everybody_is_seen_by_two_to_six_cameras(self, crops: int) -> None:
        _, cameras = draw_places(0)
        for person in range(100):
            visits = draw_visits(0, person, crops, cameras)
            assert 2 <= len({visit.camera for visit in visits}) == len(visits) <= 6
            assert sum(visit.crops for visit in visits) == crops

    def test_a_photograph_has_the_size_of_its_light_and_depends_on_the_seed_alone(self) -> None:
        camera = draw_places(0)[1][0]
        light = np.full((40, 20, 3), 0.3, np.float32)
        first, second = (photograph(light, camera, np.random.default_rng(2)) for _ in range(2))
        assert first.shape == (40, 20, 3)
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, second)

    def test_every_surface_can_be_drawn(self) -> None:
        rng = np.random.default_rng(0)
        for picture in [draw_floor(rng, kind) for kind in FLOORS] + [draw_wall(rng, kind) for kind in WALLS]:
            assert picture.shape == (256, 256, 3)
            assert 3 < picture.mean() < 250


class TestBodies:
    def test_a_body_stands_on_the_ground_in_its_height_where_it_is_put(self, folders: tuple[Path, Path]) -> None:
        avatar = load_avatar(sorted(folders[1].glob("*.npz"))[0])
        rng = np.random.default_rng(0)
        look = replace(draw_look(rng, WARDROBE), height=1.8, bag="none", hat="none", skirt=0)
        figure = dress(look, avatar, None)
        assert figure.body.mesh.position[:, 1].max() == pytest.approx(1.8, abs=1e-4)
        pose = draw_pose(rng, None, walks=True)
        first = put(figure, pose, (2.0, -1.0), 0.5)
        again = put(figure, pose, (2.0, -1.0), 0.5)
        assert first.body.position[:, 1].min() == pytest.approx(0, abs=1e-5)
        np.testing.assert_allclose(first.joints[0, [0, 2]], [2.0, -1.0], atol=1e-5)
        np.testing.assert_array_equal(first.body.position, again.body.position)

    @pytest.mark.parametrize(
        "bag", ["backpack", "shoulder bag", "cross bag", "handbag", "tote", "box", "suitcase"]
    )
    def test_a_bag_stays_with_its_owner(self, folders: tuple[Path, Path], bag: str) -> None:
        avatar = load_avatar(sorted(folders[1].glob("*.npz"))[0])
        look = replace(draw_look(np.random.default_rng(0), WARDROBE), bag=bag, hat="none", skirt=0)
        figure = dress(look, avatar, None)
        posed = put(figure, draw_pose(np.random.default_rng(1), figure.arms(), True), (3.0, 2.0), 1.0)
        assert posed.worn is not None
        assert np.abs(posed.worn.position[:, [0, 2]] - [3.0, 2.0]).max() < 1.0

    def test_the_top_takes_its_colour(self, folders: tuple[Path, Path]) -> None:
        avatar = load_avatar(sorted(folders[1].glob("*.npz"))[0])
        look = replace(draw_look(np.random.default_rng(0), WARDROBE), pattern="plain", bag="none", sleeves=1.0)
        texture = paint(avatar, replace(look, top=(200, 40, 60)))
        middle = np.median(texture[avatar.texel_part == Part.TOP], axis=0)
        np.testing.assert_allclose(middle, [200, 40, 60], atol=3)


@pytest.mark.usefixtures("opengl")
class TestSets:
    def test_a_set_is_the_same_with_any_number_of_workers(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        many = settings(folders, people=6)
        write_crops(many, tmp_path / "one", "a command")
        write_crops(replace(many, workers=2), tmp_path / "two", "a command")
        names = sorted(file.name for file in (tmp_path / "one").iterdir())
        assert len(names) == 6 * 4 + 1
        for name in names:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

    def test_the_project_reads_a_set(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        write_crops(settings(folders), tmp_path / "set", "a command")
        crops = read_dataset(tmp_path / "set", "auto").train.crops
        cameras = defaultdict(set)
        for crop in crops:
            cameras[crop.person_id].add(crop.camera)
            picture = cv2.imread(str(crop.path))
            assert picture is not None
            assert picture.shape == (256, 128, 3)
            assert picture.std() > 2
        assert len(cameras) == 3
        assert all(len(seen) >= 2 for seen in cameras.values())
        card = json.loads((tmp_path / "set" / "cards.json").read_text())
        assert "Tiffany Do" in card["sources and licences"]
        assert (card["seed"], card["people"], card["crops"]) == (5, 3, 12)

    def test_a_sheet_shows_two_cameras_of_each_person(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        write_crops(settings(folders), tmp_path / "set", "a command")
        assert draw_sheet(tmp_path / "set").shape == (256, 3 * 64, 3)

    def test_a_folder_with_crops_is_refused(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        (tmp_path / "00000_c1_00.jpg").touch()
        with pytest.raises(InputError, match="holds crops already"):
            write_crops(settings(folders), tmp_path, "a command")

    def test_the_command_says_what_is_missing(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        arguments = ["reid-crops", "--avatars", str(tmp_path / "empty"), "--output", str(tmp_path / "set")]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert "no .glb file" in result.output


def test_a_person_with_one_crop_is_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="crops per person is 1: give 2 or more"):
        settings(folders, crops_per_person=1)


def test_the_wardrobe_is_read_from_file_names_and_hair_meshes(folders: tuple[Path, Path]) -> None:
    assert read_wardrobe(sorted(folders[1].glob("*.npz"))) == Wardrobe((True, False), (True, False))
