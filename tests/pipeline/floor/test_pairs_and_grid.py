"""Pairs of points as files, what is said about a fit, and the grid that is drawn over a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import RunError
from pipeline.floor.fit_homography import fit_homography, floor_grid_px, read_pairs, write_pairs

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.12g}"))


@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=8))
def test_pairs_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, float, float]]
) -> None:
    path = tmp_path_factory.mktemp("pairs") / "points.csv"
    table = np.array(rows, np.float64).reshape(-1, 4)
    write_pairs(path, table[:, :2], table[:, 2:])
    image_px, floor_m = read_pairs(path)
    assert np.array_equal(np.column_stack([image_px, floor_m]), table)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none/points.csv cannot be written"):
        write_pairs(tmp_path / "none" / "points.csv", np.zeros((1, 2)), np.zeros((1, 2)))


def test_a_fit_in_words() -> None:
    """A plan with 100 px for each metre; one pair is typed 2 m too far, and left out."""
    floor_m = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [1, 3]], np.float64)
    typed_m = floor_m + np.array([[0, 0]] * 4 + [[2, 0]])
    fit = fit_homography(100 * floor_m, typed_m, max_error_m=0.1)
    assert fit.summary == (
        "4 of 5 pairs used; reprojection error 0.000 m on the floor (worst 0.000), "
        "0.0 px in the picture (worst 0.0)"
    )
    assert fit.warnings(typed_m) == ["Four pairs always fit exactly: give more to measure the error."]
    assert "the points span 0.04 m of the floor" in fit.warnings(typed_m / 100)[0]
    assert fit.yaml.startswith("homography:\n  - [")


def test_the_lines_of_a_grid_are_a_metre_apart() -> None:
    lines = floor_grid_px(np.diag([0.01, 0.01, 1.0]), np.array([[0.2, 0], [2, 0], [2, 1]], np.float64))
    ends = [(line[0].round(6).tolist(), line[-1].round(6).tolist()) for line in lines]
    assert ends == [
        ([0, 0], [0, 100]),
        ([100, 0], [100, 100]),
        ([200, 0], [200, 100]),
        ([0, 0], [200, 0]),
        ([0, 100], [200, 100]),
    ]


@pytest.mark.parametrize(("span_m", "step_m"), [(20, 1), (21, 2), (90, 5), (2000, 100)])
def test_a_grid_of_a_large_floor_is_wider(span_m: float, step_m: float) -> None:
    first, second, *_ = floor_grid_px(np.eye(3), np.array([[0, 0], [span_m, 0], [0, 1]], np.float64))
    assert second[0, 0] - first[0, 0] == pytest.approx(step_m)


def test_nothing_is_drawn_beyond_the_horizon() -> None:
    """x_m = y_m = infinity at the image row 100: the floor is below it."""
    matrix = np.array([[1, 0, 0], [0, 0, 400], [0, 1, -100]], np.float64)
    image_px = np.array([[10, 110], [200, 110], [200, 400], [10, 400]], np.float64)
    mapped = np.column_stack([image_px, np.ones(4)]) @ matrix.T
    lines = floor_grid_px(matrix, mapped[:, :2] / mapped[:, 2:])
    assert lines
    assert min(line[:, 1].min() for line in lines) > 100


def test_a_floor_without_a_likely_size_has_no_grid() -> None:
    assert floor_grid_px(np.eye(3), np.array([[0, 0], [1e7, 0], [0, 1]], np.float64)) == []
