"""Searches of the page among the people of a running run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.live.output.gallery_file import GALLERY_NAME, read_gallery
from pipeline.live.web.search_queue import SearchRequest
from pipeline.search.live_people import LivePeopleSearch
from pipeline.search.pictures import PictureModels
from tests.helpers.factories import at_distance, make_linker, one_hot
from tests.helpers.live.examples import NOW_S, make_row
from tests.helpers.searched_runs import bright_detector, colour_embedder, settings_of, write_picture, write_site

BLUE, RED = (200, 0, 0), (0, 0, 200)


@pytest.fixture
def search(tmp_path: Path) -> LivePeopleSearch:
    people = {1: {"hall": np.stack([one_hot(0)[0]] * 2)}, 2: {"yard": np.stack([at_distance(0.9)] * 2)}}
    rows = [make_row(1, "hall", 1, NOW_S), make_row(2, "yard", 1, NOW_S + 9)]
    site = write_site(tmp_path / "site", people, rows)
    gallery, _ = read_gallery(site / GALLERY_NAME)
    config = load_config(None, settings_of(["hall", "yard"]))
    models = PictureModels(config, colour_embedder(), bright_detector(), None)
    return LivePeopleSearch(lambda: config, lambda: gallery, "fake", models)


def picture(tmp_path: Path, *people: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> bytes:
    return write_picture(tmp_path / "picture.png", (400, 300), people).read_bytes()


def test_known_people_are_ranked(search: LivePeopleSearch, tmp_path: Path) -> None:
    result = search(SearchRequest(picture(tmp_path, ((50, 100, 90, 200), BLUE))))
    assert [(m["global_id"], m["camera_id"], m["meaning"], m["end_s"]) for m in result["matches"]] == [
        (1, "hall", "same person", NOW_S),
        (2, "yard", "no", NOW_S + 9),
    ]
    assert result["people"] == 2
    assert "the camera of the picture is not known" in result["notes"][0]


def test_one_of_several_people_is_chosen(search: LivePeopleSearch, tmp_path: Path) -> None:
    data = picture(tmp_path, ((50, 100, 90, 200), RED), ((200, 100, 240, 200), BLUE))
    assert search(SearchRequest(data)) == {
        "choose": [[50, 100, 90, 200], [200, 100, 240, 200]],
        "size": [400, 300],
    }
    assert search(SearchRequest(data, "hall", 2))["matches"][0]["global_id"] == 1


def test_bad_pictures_are_refused(search: LivePeopleSearch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the file is not a picture, or is cut off"):
        search(SearchRequest(b"no picture"))
    with pytest.raises(InputError, match="no person is found in the picture"):
        search(SearchRequest(picture(tmp_path)))
    _, bomb = cv2.imencode(".png", np.zeros((6000, 6000), np.uint8))
    with pytest.raises(InputError, match="above the limit of 25 megapixels"):
        search(SearchRequest(bomb.tobytes()))


def test_nobody_is_known_at_first(tmp_path: Path) -> None:
    config = load_config(None, settings_of(["hall", "yard"]))
    nobody = make_linker(["hall", "yard"]).gallery()
    models = PictureModels(config, colour_embedder(), bright_detector(), None)
    search = LivePeopleSearch(lambda: config, lambda: nobody, "fake", models)
    result = search(SearchRequest(picture(tmp_path, ((50, 100, 90, 200), BLUE))))
    assert (result["matches"], result["people"], result["meaning"]) == ([], 0, "nobody is known yet")
