from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.boxes import (
    areas,
    clip_xyxy,
    covered_share,
    cxcywh_to_xyxy,
    foot_points,
    intersections,
    iou_matrix,
    xyxy_to_cxcywh,
)

NONE = np.zeros((0, 4))
# left, top, width, height with room for right < left
boxes = st.lists(
    st.tuples(*[st.floats(-100, 1000)] * 2, *[st.floats(-5, 300)] * 2).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    max_size=6,
).map(lambda rows: np.array(rows, np.float64).reshape(-1, 4))


@pytest.mark.parametrize(
    ("a", "b", "shared", "iou"),
    [
        pytest.param((0, 0, 10, 10), (0, 0, 10, 10), 100, 1.0, id="the same box"),
        pytest.param((0, 0, 10, 10), (5, 0, 15, 10), 50, 1 / 3, id="half beside: 50 of 150"),
        pytest.param((0, 0, 10, 10), (5, 5, 15, 15), 25, 25 / 175, id="a corner: 25 of 175"),
        pytest.param((0, 0, 10, 10), (2, 2, 4, 4), 4, 0.04, id="inside: 4 of 100"),
        pytest.param((0, 0, 10, 10), (10, 0, 20, 10), 0, 0.0, id="only the edge in common"),
        pytest.param((0, 0, 10, 10), (20, 20, 30, 30), 0, 0.0, id="apart"),
        pytest.param((5, 5, 5, 5), (5, 5, 5, 5), 0, 0.0, id="both empty"),
        pytest.param((10, 10, 0, 0), (0, 0, 10, 10), 0, 0.0, id="right < left counts as empty"),
    ],
)
def test_intersection_and_iou(a: tuple[float, ...], b: tuple[float, ...], shared: float, iou: float) -> None:
    first, second = np.array([a], np.float64), np.array([b], np.float64)
    assert intersections(first, second)[0, 0] == shared
    assert iou_matrix(first, second)[0, 0] == pytest.approx(iou)
    assert iou_matrix(second, first)[0, 0] == pytest.approx(iou)


def test_rows_are_the_first_boxes_and_columns_the_second() -> None:
    a = np.array([[0, 0, 10, 10], [100, 0, 110, 10]], np.float64)
    b = np.array([[0, 0, 10, 10], [0, 0, 10, 20], [100, 5, 110, 10]], np.float64)
    assert iou_matrix(a, b) == pytest.approx(np.array([[1, 0.5, 0], [0, 0, 0.5]]))


def test_no_boxes_give_empty_matrices() -> None:
    three = np.array([[0, 0, 1, 1]] * 3, np.float64)
    assert iou_matrix(NONE, three).shape == (0, 3)
    assert iou_matrix(three, NONE).shape == (3, 0)
    assert areas(NONE).shape == covered_share(NONE).shape == (0,)
    assert foot_points(NONE).shape == (0, 2)
    assert xyxy_to_cxcywh(NONE).shape == cxcywh_to_xyxy(NONE).shape == (0, 4)


@given(boxes, boxes)
def test_iou_lies_between_0_and_1_and_does_not_depend_on_the_order(a: np.ndarray, b: np.ndarray) -> None:
    iou = iou_matrix(a, b)
    assert ((iou >= 0) & (iou <= 1 + 1e-9)).all()
    assert iou == pytest.approx(iou_matrix(b, a).T)


def test_centre_form_of_a_box_and_back() -> None:
    xyxy = np.array([[10, 20, 30, 80]], np.float64)
    assert xyxy_to_cxcywh(xyxy).tolist() == [[20, 50, 20, 60]]
    assert cxcywh_to_xyxy(np.array([[20, 50, 20, 60]], np.float64)).tolist() == xyxy.tolist()


def test_covered_share_is_the_largest_share_that_one_other_box_covers() -> None:
    xyxy = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 10, 2], [50, 50, 60, 60], [7, 7, 7, 9]], np.float64)
    # The second covers 50 of the first's 100, the third 20; the first covers all of the third; the last is empty.
    assert covered_share(xyxy).tolist() == [0.5, 0.5, 1.0, 0.0, 0.0]


def test_a_single_box_is_covered_by_nobody() -> None:
    assert covered_share(np.array([[0, 0, 10, 10]], np.float64)).tolist() == [0.0]


def test_clipping_cuts_at_the_borders_and_keeps_the_type() -> None:
    xyxy = np.array([[-5, -5, 50, 50], [90, 90, 200, 300], [-9, 0, -1, 5]], np.float32)
    clipped = clip_xyxy(xyxy, (100, 200))
    assert clipped.tolist() == [[0, 0, 50, 50], [90, 90, 100, 200], [0, 0, 0, 5]]
    assert clipped.dtype == np.float32


def test_feet_are_in_the_middle_of_the_lower_edge() -> None:
    assert foot_points(np.array([[10, 20, 30, 80]])).tolist() == [[20, 80]]
