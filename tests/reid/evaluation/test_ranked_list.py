"""Ranked lists: who is found, and how the picture says whether it is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.datasets import Crop, CropSet
from reid.evaluation.ranked_list import RIGHT, WRONG, draw_ranked_lists, evenly_spaced, ranked_lists
from reid.evaluation.retrieval import LabelledFeatures


def at_angles(*rows: tuple[float, int, str]) -> LabelledFeatures:
    """Crops given as (angle in degrees, person, camera)."""
    angles = np.radians([row[0] for row in rows])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return LabelledFeatures(features, np.array([row[1] for row in rows]), np.array([row[2] for row in rows]))


QUERY = at_angles((0, 1, "c1"), (0, 7, "c1"), (90, 2, "c1"))
GALLERY = at_angles((5, 1, "c1"), (60, 1, "c2"), (20, 2, "c1"), (100, 2, "c2"), (40, 3, "c3"))


def test_lists_are_in_order_without_the_same_person_in_the_same_camera() -> None:
    first, second = ranked_lists(QUERY, GALLERY, count=10, length=3)
    assert (first.query, second.query) == (0, 2)  # nobody in the gallery is person 7
    assert first.gallery.tolist() == [2, 4, 1]
    assert first.right.tolist() == [False, False, True]
    np.testing.assert_allclose(first.distances, 2 - 2 * np.cos(np.radians([20, 40, 60])), atol=1e-6)
    assert second.gallery.tolist() == [3, 1, 4]  # not 2, person 2 in c1
    assert second.right.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("items", "count", "expected"),
    [([], 3, []), ([4, 5], 3, [4, 5]), (list(range(10)), 2, [2, 7]), (list(range(9)), 3, [1, 4, 7])],
)
def test_evenly_spaced(items: list[int], count: int, expected: list[int]) -> None:
    assert evenly_spaced(items, count) == expected


def test_the_picture_frames_right_and_wrong(tmp_path: Path) -> None:
    crops = []
    for number in range(5):
        Image.new("RGB", (16, 32), (0, 0, 50 * number)).save(tmp_path / f"{number}.png")
        crops.append(Crop(tmp_path / f"{number}.png", 1, "c1"))
    gallery, query = CropSet(tuple(crops)), CropSet(tuple(crops[:3]))
    sheet = np.asarray(draw_ranked_lists(ranked_lists(QUERY, GALLERY, count=2, length=3), query, gallery))
    wrong, right = ((sheet == colour).all(axis=2) for colour in (WRONG, RIGHT))
    frame_px = 72 * 136 - 64 * 128
    assert wrong.sum() == 4 * frame_px
    assert right.sum() == 2 * frame_px
    # first row: wrong, wrong, right from left to right
    row = sheet[40]
    assert np.flatnonzero((row == WRONG).all(axis=1)).max() < np.flatnonzero((row == RIGHT).all(axis=1)).min()
    # the crop inside the first frame is the nearest, number 2: blue 100
    assert [0, 0, 100] in row.tolist()
