"""From the output of a network to boxes, beside torchvision's suppression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.suppression import end_to_end_rows, suppressed_rows
from detectors.ultralytics_import import import_ultralytics


def output(*boxes: tuple[float, ...]) -> NDArray[np.float32]:
    """(cx, cy, w, h, confidences ...) of each anchor, as a network returns them."""
    return np.array(boxes, np.float32).T


@pytest.mark.parametrize(
    ("iou_max", "most", "classes", "kept"),
    [
        # The second covers 8 of 10 + 10 - 8 = 12 columns with the first: two thirds.
        pytest.param(0.7, 9, [0, 1], [0.9, 0.8, 0.5], id="less overlap than the limit"),
        pytest.param(0.6, 9, [0, 1], [0.9, 0.5], id="more, also of another class"),
        pytest.param(0.6, 1, [0, 1], [0.9], id="the most confident"),
        pytest.param(0.6, 9, [1], [0.8], id="other classes cover nothing"),
        pytest.param(0.6, 9, [2], [], id="no such class"),
    ],
)
def test_by_hand(iou_max: float, most: int, classes: list[int], kept: list[float]) -> None:
    boxes = output(
        (5, 5, 10, 10, 0.9, 0.1),
        (50, 5, 10, 10, 0.5, 0.2),
        (7, 5, 10, 10, 0.3, 0.8),
        (90, 5, 10, 10, 0.05, 0.0),
    )
    rows = suppressed_rows(boxes, confidence_min=0.1, iou_max=iou_max, classes=classes, max_detections=most)
    assert rows.shape == (len(kept), 6)
    np.testing.assert_allclose(rows[:, 4], kept)
    if len(kept) == 3:
        assert rows[1].tolist() == pytest.approx([2, 0, 12, 10, 0.8, 1])


def test_end_to_end_by_hand() -> None:
    boxes = np.array(
        [[0, 0, 4, 4, 0.9, 0], [0, 0, 4, 4, 0.8, 1], [1, 1, 4, 4, 0.7, 0], [0, 0, 1, 1, 0.1, 0]], np.float32
    )
    rows = end_to_end_rows(boxes, confidence_min=0.1, classes=[0], max_detections=9)
    np.testing.assert_allclose(rows[:, 4], [0.9, 0.7])  # .1 itself is not above the limit
    assert len(end_to_end_rows(boxes, confidence_min=0.1, classes=[0], max_detections=1)) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 300), st.integers(1, 4), st.sampled_from([0.3, 0.7, 1.0]))
def test_the_rows_are_those_of_ultralytics(seed: int, count: int, classes: int, iou_max: float) -> None:
    import torchvision  # noqa: F401 - Ultralytics takes its suppression once it is imported

    import_ultralytics()
    from ultralytics.utils.nms import non_max_suppression

    rng = np.random.default_rng(seed)
    boxes = rng.uniform(0, 100, (4 + classes, count)).astype(np.float32)
    boxes[4:] = np.round(rng.random((classes, count)), 2)  # some are equal
    chosen = [0, classes - 1]
    (expected,) = non_max_suppression(
        torch.from_numpy(boxes[None].copy()), 0.2, iou_max, chosen, agnostic=True, max_det=50
    )
    rows = suppressed_rows(boxes, confidence_min=0.2, iou_max=iou_max, classes=chosen, max_detections=50)
    np.testing.assert_array_equal(rows, expected.numpy())
