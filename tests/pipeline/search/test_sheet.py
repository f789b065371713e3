"""The sheet of a search, with pictures cut from recordings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import mtmc
from pipeline.search.find import find
from pipeline.search.sheet import draw_sheet
from pipeline.search.track_pictures import cropped, track_pictures
from tests.helpers.factories import at_distance, make_tracklet
from tests.helpers.media import write_video
from tests.helpers.searched_runs import bright_detector, colour_embedder, write_picture, write_run

RED, BLUE, GREEN = (0, 0, 200), (200, 0, 0), (0, 200, 0)
LIMITS = {
    "tracker": {"max_cosine_distance": 0.3},
    "linker": {"max_cosine_distance": 0.3, "max_centred_cosine_distance": None},
    "second_pass": {"max_cosine_distance": 0.3, "max_centred_cosine_distance": None},
}


def walking(colour: tuple[int, int, int], steps: int = 30) -> list[np.ndarray]:
    """Somebody who walks to the right on grey ground, and looks a little different at each step."""
    images = []
    for step in range(steps):
        image = np.full((240, 320, 3), 90, np.uint8)
        shade = tuple(int(value + 2 * step) for value in colour)
        cv2.rectangle(image, (20 + 6 * step, 60), (60 + 6 * step, 200), shade, -1)
        images.append(image)
    return images


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run: somebody in red in camera a, then in b, and somebody in blue in b. The models are colours."""
    folder = tmp_path_factory.mktemp("sheet")
    nobody = [np.full((240, 320, 3), 90, np.uint8)] * 10
    write_video(folder / "a.mp4", [*walking(RED), *nobody, *nobody, *nobody, *nobody, *nobody])
    write_video(folder / "b.mp4", [*nobody * 4, *walking(RED), *nobody, *walking(BLUE)])
    sources = mtmc.named_sources([f"{name}={folder / name}.mp4" for name in "ab"])
    config = mtmc.load_config(overrides={"cameras": sources, **LIMITS})
    mtmc.track(config, folder / "out", detector=bright_detector(), embedder=colour_embedder())
    return folder / "out"


def tiles(png: bytes) -> Sequence[np.ndarray]:
    """The pictures of a sheet, in their order."""
    sheet = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    width = (sheet.shape[1] - 14) // 182
    return [sheet[14:350, 14 + 182 * column : 182 + 182 * column] for column in range(width)]


def test_a_picture_finds_its_person_in_the_other_camera_and_the_sheet_shows_it(run: Path, tmp_path: Path) -> None:
    crop = write_picture(tmp_path / "crop.png", (60, 150), [((2, 2, 58, 148), RED)])
    found = find(run, images=[crop], cameras=["b"], detector=bright_detector(), embedder=colour_embedder())
    assert [m.meaning for m in found.matches] == ["same person", "no"]
    png, missing = draw_sheet(found)
    assert missing == []
    query, best, other = tiles(png)
    for tile, channel in ((query, 0), (best, 0), (other, 2)):
        colour = tile[100:240, 60:110].reshape(-1, 3).mean(axis=0)
        assert colour.argmax() == channel
        assert colour.max() > 150


def test_a_person_of_the_run_is_shown_by_one_of_its_tracks(run: Path) -> None:
    found = find(run, person=1)
    png, missing = draw_sheet(found)
    assert missing == []
    assert len(tiles(png)) == 1 + len(found.matches)
    assert tiles(png)[0][100:240, 60:110].reshape(-1, 3).mean(axis=0).argmax() == 0


def test_missing_recordings_are_said(tmp_path: Path) -> None:
    tracklets = [make_tracklet("a", n, embeddings=at_distance(0.1 * n)) for n in (1, 2)]
    lost = write_run(tmp_path / "lost", tracklets, {("a", 1): 1, ("a", 2): 2})
    png, missing = draw_sheet(find(lost, track="a:1"))
    assert len(missing) == 1
    assert missing[0].startswith("no pictures of camera a of lost: camera a: a.mp4 does not exist")
    assert len(tiles(png)) == 2


def test_the_best_box_of_a_track_is_cut(run: Path) -> None:
    from pipeline.search.recorded_run import RecordedRun
    from pipeline.search.run_config import ConfigChoice

    opened = RecordedRun(run, "out", ConfigChoice())
    pictures, problems = track_pictures(opened, [("a", 1)])
    assert problems == []
    height, width = pictures["a", 1].shape[:2]
    assert abs(height - 141) <= 4
    assert abs(width - 41) <= 4


def test_boxes_outside_an_image_give_a_pixel() -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    assert cropped(image, np.array([2.4, 3.4, 7.6, 8.6], np.float32)).shape == (6, 6, 3)
    assert cropped(image, np.array([30, 30, 40, 40], np.float32)).shape == (1, 1, 3)
