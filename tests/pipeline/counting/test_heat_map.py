"""Seconds go to the cells where they were spent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.counting.heat_map import HeatMap, draw_on_floor, draw_on_picture
from pipeline.counting.positions import Positions
from pipeline.counting.settings import FLOOR
from tests.helpers.counting import row, walk


def heat(rows: list[object], view: str = FLOOR, cell: float = 1.0, max_gap_s: float = 5.0) -> HeatMap:
    found = HeatMap(cell, max_gap_s)
    for position in Positions([view], 0.2).of(rows):  # type: ignore[arg-type]
        found.add(position)
    return found


def test_standing() -> None:
    assert heat(walk([2.5, 2.5, 2.5])).seconds == {(2, 5): 2.0}


def test_walking_at_an_even_pace() -> None:
    assert heat(walk([0.0, 4.0])).seconds == pytest.approx(
        {(0, 5): 0.25, (1, 5): 0.25, (2, 5): 0.25, (3, 5): 0.25}
    )


def test_a_long_gap_gives_nothing_and_a_short_one_its_time() -> None:
    assert heat(walk([2.5, None, None, 2.5]), max_gap_s=3.0).seconds == {(2, 5): 3.0}
    assert heat(walk([2.5, None, None, None, 2.5]), max_gap_s=3.0).seconds == {}


def test_two_people_and_two_cameras() -> None:
    rows = sorted([*walk([2.5, 2.5]), *walk([2.5, 2.5], person=2)], key=lambda one: one.row.time_s)
    assert sum(heat(rows).seconds.values()) == 2.0  # type: ignore[arg-type]
    # Two cameras that see one person for a second give one second.
    rows = sorted([*walk([2.5, 2.5]), *walk([2.5, 2.5], camera="cam2")], key=lambda one: one.row.time_s)
    assert sum(heat(rows).seconds.values()) == 1.0  # type: ignore[arg-type]


def test_smoothing_keeps_the_sum() -> None:
    found = heat(walk([2.5, 2.5, 7.5, 7.5]))
    assert float(found.smoothed(*found.bounds()).sum()) == pytest.approx(3.0, rel=0.01)


def test_pictures_are_written(tmp_path: Path) -> None:
    found = heat([row(float(second), foot_px=(30.0, 20.0)) for second in range(3)], "cam1", cell=4.0)
    shapes = [("a $ zone", [[0, 0], [40, 0], [40, 40]], True), ("line", [[0, 0], [9, 9]], False)]
    draw_on_picture(tmp_path / "cam1.png", found, (80, 60), np.full((60, 80, 3), 90, np.uint8), shapes, "cam1")
    draw_on_floor(tmp_path / "floor.png", heat(walk([0.0, 9.0])), [("z", [[0, 0], [4, 0], [4, 4]], True)], "floor")
    draw_on_floor(tmp_path / "nobody.png", HeatMap(1.0, 5.0), [], "floor")
    for name in ("cam1", "floor", "nobody"):
        image = cv2.imread(str(tmp_path / f"{name}.png"))
        assert image is not None
        assert image.shape[1] > 500
