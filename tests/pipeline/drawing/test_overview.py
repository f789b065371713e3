"""The tiles of a mosaic that no camera fills: the plan of the floor, and the list of people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.datatypes import Frame, Link, LinkedRow, TrajectoryRow
from pipeline.core.floor_area import FloorArea, floor_area
from pipeline.drawing.mosaic_video import MosaicSettings, mosaic_images
from pipeline.drawing.overview import PersonNow, floor_tile, list_tile, people_now
from pipeline.drawing.visualization import MosaicRenderer, id_colour
from pipeline.files.results_csv import COLUMNS

# 20 m by 10 m on 400 by 200 pixels: 20 pixels per metre.
AREA = FloorArea(left=-5.0, top=0.0, width=20.0, height=10.0, square_m=2)
TILE = (400, 200)
NO_PATH = np.zeros((0, 2))


def person(
    global_id: int, xy_m: tuple[float, float] | None = None, cameras: tuple[str, ...] = ("a",)
) -> PersonNow:
    return PersonNow(global_id, cameras, xy_m, NO_PATH)


def box(global_id: int, camera_id: str, xy_m: tuple[float, float] | None, time_s: float = 0.0) -> LinkedRow:
    row = TrajectoryRow(camera_id, 1, 0, time_s, "person", (0.0, 0.0, 9.0, 9.0), 0.9, xy_m)
    return LinkedRow(row, Link(global_id, 1.0, True))


def has_colour(image: NDArray[np.uint8], global_id: int) -> NDArray[np.bool_]:
    return np.asarray((image == id_colour(global_id)).all(axis=2), np.bool_)


@pytest.mark.parametrize(
    ("xy_m", "at_px"), [((-5.0, 0.0), (0, 0)), ((5.0, 5.0), (200, 100)), ((14.0, 2.0), (380, 40))]
)
def test_a_dot_is_where_the_person_stands(xy_m: tuple[float, float], at_px: tuple[int, int]) -> None:
    tile = floor_tile([person(3, xy_m)], AREA, TILE, "people")
    assert (tile.left_text, tile.right_text) == ("floor: 1 people", "squares: 2 m")
    assert has_colour(tile.image_bgr, 3)[at_px[1], at_px[0]]


def test_who_has_no_place_on_the_plan_is_counted() -> None:
    people = [person(1, (0.0, 5.0)), person(2), person(3), person(4, (15.1, 5.0))]
    tile = floor_tile(people, AREA, TILE, "people")
    assert tile.left_text == "floor: 1 people, 2 without position, 1 outside"
    assert [bool(has_colour(tile.image_bgr, number).any()) for number in (1, 2, 3, 4)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_plan_of_another_shape_is_in_the_middle_of_its_tile() -> None:
    high = FloorArea(left=0.0, top=0.0, width=5.0, height=10.0, square_m=1)
    image = floor_tile([person(1, (2.5, 5.0))], high, TILE, "people").image_bgr
    assert has_colour(image, 1)[100, 200]
    assert (image[:, :140] == 0).all()
    assert (image[:, 260:] == 0).all()


def test_the_path_of_a_person_is_drawn() -> None:
    walk = PersonNow(7, ("a",), (5.0, 5.0), np.array([[-4.0, 5.0], [5.0, 5.0]]))
    image = floor_tile([walk], AREA, TILE, "people").image_bgr.astype(int)
    drawn = np.abs(image - id_colour(7)).max(axis=2) < 30  # the line is smoothed
    assert drawn[99:102, 30:180].any(axis=0).all()
    assert not drawn[90, 30:150].any()


def test_nobody() -> None:
    assert floor_tile([], AREA, TILE, "people").left_text == "floor: 0 people"
    tile = list_tile([], TILE, "objects")
    assert tile.left_text == "now: 0 objects"
    assert not tile.image_bgr.any()


def test_the_list_has_a_colour_a_person_and_counts_those_without_room() -> None:
    image = list_tile([person(number) for number in (1, 2, 3)], TILE, "people").image_bgr
    tops = [int(np.flatnonzero(has_colour(image, number).any(axis=1))[0]) for number in (1, 2, 3)]
    assert tops[0] < tops[1] < tops[2]
    many = list_tile([person(number) for number in range(1, 41)], TILE, "people")
    assert many.left_text == "now: 40 people"
    shown = [number for number in range(1, 41) if has_colour(many.image_bgr, number).sum() >= 50]
    assert shown == list(range(1, len(shown) + 1))
    assert 3 <= len(shown) < 40
    # The line below the last person says how many are missing.
    last = int(np.flatnonzero(has_colour(many.image_bgr, shown[-1]).any(axis=1))[-1])
    assert many.image_bgr[last + 3 :].any()


def test_many_cameras_fit_into_a_line() -> None:
    names = tuple(f"entrance of building {number}" for number in range(9))
    image = list_tile([person(1, cameras=names)], TILE, "people").image_bgr
    assert not image[:, -4:].any()
    assert list_tile([person(1, cameras=("x" * 500,))], TILE, "people").image_bgr.any()


def test_people_are_those_of_the_rows_with_the_mean_of_their_positions() -> None:
    rows = [box(2, "a", (1.0, 2.0)), box(1, "a", None), box(2, "b", (3.0, 4.0)), box(2, "c", None)]
    recent = [
        box(2, "a", (0.0, 0.0), 0.1),
        box(2, "b", (2.0, 2.0), 0.2),
        box(2, "a", (4.0, 4.0), 0.3),
        box(9, "a", (0.0, 0.0), 0.1),
    ]
    first, second = people_now(rows, recent)
    assert (first.global_id, first.cameras, first.xy_m, len(first.path_m)) == (1, ("a",), None, 0)
    assert (second.global_id, second.cameras, second.xy_m) == (2, ("a", "b", "c"), (2.0, 3.0))
    assert second.path_m.tolist() == [[1.0, 1.0], [4.0, 4.0]]  # means of each quarter of a second
    assert [one.label for one in people_now(rows, class_names=True)] == ["person 1", "person 2"]


@pytest.mark.parametrize(("cameras", "free"), [(1, 0), (2, 0), (3, 1), (5, 1), (7, 2)])
def test_free_tiles(cameras: int, free: int) -> None:
    assert MosaicRenderer([str(number) for number in range(cameras)]).free_tiles == free


def test_the_area_leaves_single_errors_out() -> None:
    xy_m = np.array([[x / 10, x / 20] for x in range(101)] + [[500.0, -500.0]])
    area = floor_area(xy_m)
    assert area.left == -1.0
    assert area.width < 20
    assert area.holds(xy_m).tolist() == [True] * 101 + [False]


# -- in a video -----------------------------------------------------------------------------------------------------


def frames(camera_id: str) -> Iterator[Frame]:
    for index in range(4):
        yield Frame(camera_id, index, index / 10, TILE, np.full((200, 400, 3), 100, np.uint8))


def last_image(tmp_path: Path, cameras: str, positions: str) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """The last mosaic of a person with id 5, whom camera a sees, and its tiles row by row."""
    csv = tmp_path / "trajectories.csv"
    lines = [f"5,a,1,{i},{i / 10:.3f},,person,20,30,60,80,0.9,1,final,0,{positions}" for i in range(4)]
    csv.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    settings = MosaicSettings(fps=10, tile_wh=TILE)
    *_, (_, image) = mosaic_images({name: frames(name) for name in cameras}, csv, settings=settings)
    columns, height = (image.shape[1] + 4) // 404, MosaicRenderer(["a"], tile_wh=TILE).size_wh[1]
    tiles = [
        image[top : top + height, left : left + 400]
        for top in range(0, image.shape[0], height)
        for left in range(0, columns * 404, 404)
    ]
    return image, tiles


@pytest.mark.parametrize(
    ("cameras", "positions", "filled"),
    [
        ("abc", "1.0,2.0", ["floor"]),
        ("abc", ",", ["list"]),
        ("abcdefg", "1.0,2.0", ["floor", "list"]),
        ("abcdefg", ",", ["list", None]),
        ("ab", "1.0,2.0", []),
    ],
)
def test_free_tiles_of_a_video_show_who_is_there(
    tmp_path: Path, cameras: str, positions: str, filled: list[str | None]
) -> None:
    _, tiles = last_image(tmp_path, cameras, positions)
    free = tiles[len(cameras) :]
    assert len(free) == len(filled)
    for tile, what in zip(free, filled, strict=True):
        assert bool(has_colour(tile, 5).any()) == (what is not None)
        if what is None:
            assert not tile.any()
        else:
            floor = (tile[-1, 200] == 30).all() or (tile[-1, 200] == 60).all()  # the ground or a line of the plan
            assert bool(floor) == (what == "floor")
