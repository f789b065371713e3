"""Which person of a picture is searched for, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.search.pictures import PictureChoice, PictureModels, picture_models, picture_query
from tests.helpers.searched_runs import bright_detector, colour_embedder, settings_of, write_picture

RED, GREEN, BLUE = (0, 0, 200), (0, 200, 0), (200, 0, 0)
SCENE = (400, 300)
ONE = [((50, 100, 90, 200), RED)]
THREE = [((250, 100, 290, 200), BLUE), ((50, 100, 90, 200), RED), ((150, 120, 190, 220), GREEN)]


def models() -> PictureModels:
    config = load_config(None, {"cameras": [{"name": "hall", "source": "hall.mp4"}]})
    return PictureModels(config, colour_embedder(), bright_detector(), None)


def colour_of(path: Path, choice: PictureChoice | None = None) -> list[float]:
    query = picture_query([path], models(), None, choice or PictureChoice()).query
    return [round(float(value), 2) for value in query.views[0].embeddings[0, :3]]


def test_the_only_person_of_a_scene_is_found(tmp_path: Path) -> None:
    scene = write_picture(tmp_path / "scene.png", SCENE, ONE)
    found = picture_query([scene], models(), None, PictureChoice())
    assert colour_of(scene) == [0, 0, 1]
    assert [crop.shape for crop in found.crops] == [(100, 40, 3)]


def test_several_people_are_listed_with_numbers_and_one_is_chosen(tmp_path: Path) -> None:
    scene = write_picture(tmp_path / "scene.png", SCENE, THREE)
    with pytest.raises(InputError) as error:
        colour_of(scene)
    assert str(error.value) == (
        f"{scene} shows 3 people, from left to right (left, top, right, bottom in px, confidence): "
        "1: 50, 100, 90, 200 (0.90); 2: 150, 120, 190, 220 (0.90); 3: 250, 100, 290, 200 (0.90). "
        "Choose one with --person N"
    )
    assert [colour_of(scene, PictureChoice(persons=[n])) for n in (1, 2, 3)] == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    with pytest.raises(InputError, match=r"--person 4: .* shows 3 people"):
        colour_of(scene, PictureChoice(persons=[4]))


def test_numbers_belong_to_the_pictures_with_several_people_in_order(tmp_path: Path) -> None:
    scene = write_picture(tmp_path / "scene.png", SCENE, THREE)
    alone = write_picture(tmp_path / "alone.png", SCENE, ONE)
    found = picture_query([scene, alone, scene], models(), None, PictureChoice(persons=[2, 3])).query
    np.testing.assert_allclose(found.views[0].embeddings[:, :3], [[0, 1, 0], [0, 0, 1], [1, 0, 0]], atol=0.01)
    with pytest.raises(InputError, match="--person 2 is left over"):
        picture_query([alone], models(), None, PictureChoice(persons=[2]))


def test_nobody_in_a_picture_is_an_error_unless_forced(tmp_path: Path) -> None:
    for size in (SCENE, (60, 150)):
        empty = write_picture(tmp_path / "empty.png", size, [])
        with pytest.raises(InputError, match=r"no person is found in it; --force uses the whole picture"):
            colour_of(empty)
        assert colour_of(empty, PictureChoice(force=True)) == [0.58, 0.58, 0.58]
    with pytest.raises(InputError, match="give one of them"):
        colour_of(empty, PictureChoice(force=True, whole=True))


@pytest.mark.parametrize(
    ("people", "size_px", "note"),
    [
        ([((0, 0, 60, 150), RED)], (150, 60), ""),
        ([((3, 3, 57, 147), RED)], (150, 60), ""),  # nearly all of it: the crop stays as it is
        ([((10, 20, 50, 140), RED)], (120, 40), ""),  # with a margin: it is cut to the person
        ([((40, 100, 58, 140), RED)], (40, 18), "no person fills it"),
    ],
    ids=["tight", "nearly tight", "loose", "a high scene"],
)
def test_crops_are_used_as_they_are_or_cut_to_the_person(
    tmp_path: Path,
    people: list[tuple[tuple[int, int, int, int], tuple[int, int, int]]],
    size_px: tuple[int, int],
    note: str,
) -> None:
    crop = write_picture(tmp_path / "crop.png", (60, 150), people)
    found = picture_query([crop], models(), None, PictureChoice())
    assert found.crops[0].shape[:2] == size_px
    assert any(note in one for one in found.notes)
    whole = picture_query([crop], models(), None, PictureChoice(whole=True))
    left, top, right, bottom = people[0][0]
    assert whole.crops[0].shape[:2] == (bottom - top, right - left)


def test_two_large_people_in_a_crop_are_said(tmp_path: Path) -> None:
    crop = write_picture(tmp_path / "crop.png", (100, 150), [((0, 0, 52, 150), RED), ((56, 0, 100, 150), BLUE)])
    found = picture_query([crop], models(), None, PictureChoice())
    assert "shows 2 large people; the surest box is used" in found.notes[0]
    assert colour_of(crop) == [0, 0, 1]


def test_small_people_are_said(tmp_path: Path) -> None:
    scene = write_picture(tmp_path / "scene.png", SCENE, [((50, 100, 60, 130), RED)])
    assert "is only 30 px high" in picture_query([scene], models(), None, PictureChoice()).notes[0]


def test_the_row_of_the_camera_is_explained(tmp_path: Path) -> None:
    scene = write_picture(tmp_path / "scene.png", SCENE, ONE)
    known = models()
    known.embedder.unknown_cameras = {"": "row for unknown cameras"}  # type: ignore[misc]
    notes = picture_query([scene], known, None, PictureChoice()).notes
    assert notes[-1] == ("the camera of the picture is not known: it is embedded with the row for unknown cameras")
    assert picture_query([scene], known, "hall", PictureChoice()).notes[-1] == (
        "the picture is embedded as a crop of camera hall"
    )
    with pytest.raises(InputError, match="--camera 'yard': the cameras of the run are hall"):
        picture_query([scene], known, "yard", PictureChoice())


def test_a_site_mean_is_subtracted_from_pictures_of_unknown_cameras_only(tmp_path: Path) -> None:
    scene = write_picture(tmp_path / "scene.png", SCENE, ONE)
    mean = np.array([0, 0.6, 0, 0, 0, 0, 0, 0], np.float32)
    known = models()
    known = PictureModels(known.config, known.embedder, known.detector, mean)
    vector = picture_query([scene], known, None, PictureChoice()).query.views[0].embeddings[0]
    np.testing.assert_allclose(vector[:3], np.array([0, -0.6, 1]) / np.hypot(0.6, 1), atol=1e-3)
    vector = picture_query([scene], known, "hall", PictureChoice()).query.views[0].embeddings[0]
    np.testing.assert_allclose(vector[:3], [0, 0, 1], atol=1e-3)


def test_the_models_of_a_run_are_needed() -> None:
    config = load_config(None, settings_of(["hall"]))
    with pytest.raises(InputError, match=r"embedder\.weights is null: a search by picture needs the model"):
        picture_models(config, "fake", "shop", detect=False)
    with pytest.raises(InputError, match="of shop are of the model other, but the embedder is fake"):
        picture_models(config, "other", "shop", detect=False, embedder=colour_embedder())
