"""Distances and crossings, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.counting.shapes import Area, Path

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]


@pytest.mark.parametrize(
    ("xy", "depth"),
    [((5, 5), 5), ((1, 5), 1), ((0, 5), 0), ((-2, 5), -2), ((13, 14), -5), ((9, 9.5), 0.5)],
)
def test_depth(xy: tuple[float, float], depth: float) -> None:
    assert Area(SQUARE).depths(np.array([xy], np.float64)).tolist() == pytest.approx([depth])


def test_depths_of_nobody() -> None:
    assert Area(SQUARE).depths(np.zeros((0, 2))).tolist() == []


def test_map_coordinates_of_millions_of_metres() -> None:
    far = np.array([500_000.0, 5_400_000.0])
    depths = Area((np.array(SQUARE) + far).tolist()).depths(np.array([[1.25, 5.0]]) + far)
    assert depths.tolist() == pytest.approx([1.25], abs=1e-6)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0], [1, 1]], "3 different points or more, but it has 2"),
        ([[0, 0], [1, 1], [0, 0]], "but it has 2"),
        ([[0, 0], [1, 1], [2, 2]], "on one line"),
        ([[0, 0], [4, 4], [4, 0], [0, 4]], "crosses or touches itself at 2, 2"),
    ],
)
def test_no_polygons(points: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Area(points)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0]], "2 different points or more, but it has 1"),
        ([[3, 3], [3, 3]], "but it has 1"),
        ([[0, 0], [4, 0], [4, 2], [2, -2]], "touches itself"),
    ],
)
def test_no_lines(points: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Path(points)


@pytest.mark.parametrize(
    ("title", "begin", "end", "expected"),
    [
        ("to the right in a picture, which is down", (3, -1), (3, 3), [(0.25, 1)]),
        ("back", (3, 3), (3, -1), [(0.75, -1)]),
        ("beside it", (3, 1), (3, 4), []),
        ("past its end", (12, -1), (12, 1), []),
        ("along it", (2, 1), (8, 1), []),
        ("up to the line counts, as a point on it is on the right", (3, -1), (3, 0), [(1.0, 1)]),
        ("on from the line does not count again", (3, 0), (3, 4), []),
        ("standing", (3, -1), (3, -1), []),
    ],
)
def test_crossings(
    title: str, begin: tuple[float, float], end: tuple[float, float], expected: list[tuple[float, int]]
) -> None:
    assert Path([[0, 0], [10, 0]]).crossings(begin, end) == expected, title


def test_a_line_with_a_corner() -> None:
    hook = Path([[0, 0], [10, 0], [10, 10]])
    assert hook.crossings((5, -5), (15, -5)) == []
    assert hook.crossings((5, 5), (15, 5)) == [(0.5, -1)]
    # Into the corner over one side and out over the other.
    assert sum(sign for _, sign in hook.crossings((4, -1), (11, 6))) == 0
    # Through the corner, from the outside to the inside: once.
    assert [sign for _, sign in hook.crossings((12, -2), (8, 2))] == [1]


def test_a_way_through_the_end_of_a_line_crosses_it_in_both_directions_or_in_none() -> None:
    line = Path([[5, 0], [5, 10]])
    for begin, end in (((-1, 3), (11, -3)), ((-1, -3), (11, 3)), ((-1, 7), (11, 13))):
        assert len(line.crossings(begin, end)) == len(line.crossings(end, begin))


def test_narrow() -> None:
    assert Area([[0, 0], [1, 0], [1, 9], [0, 9]]).is_within_its_margin(0.51)
    assert not Area([[0, 0], [1, 0], [1, 9], [0, 9]]).is_within_its_margin(0.49)
