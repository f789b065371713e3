"""The boxes of a moment."""

from __future__ import annotations

import pytest

from pipeline.view.drawn_boxes import DrawnBoxes
from tests.helpers.stored_runs import row


@pytest.mark.parametrize(
    ("camera", "time_s", "ids"),
    [
        ("hall", 0.0, [1, 2]),
        ("hall", 0.04, [1, 2]),
        ("hall", 0.06, [3]),
        ("hall", 0.1, [3]),
        ("hall", 0.14, [3]),
        ("hall", 0.2, []),
        ("hall", -0.2, []),
        ("door", 0.1, []),
        ("door", 0.2, [4]),
        ("unknown", 0.0, []),
    ],
)
def test_boxes_are_those_of_the_nearest_frame(camera: str, time_s: float, ids: list[int]) -> None:
    boxes = DrawnBoxes()
    rows = [
        row(4, "door", 1, 2),
        row(3, "hall", 1, 1),
        row(1, "hall", 2, 0),
        row(2, "hall", 3, 0, interpolated=True),
    ]
    assert list(boxes.watch(iter(rows))) == rows
    boxes.finish()
    found = boxes.at(camera, time_s, 0.051)
    assert found.global_ids.tolist() == ids
    assert found.xyxy.tolist() == [[10, 20, 50, 120]] * len(ids)
    assert found.interpolated.tolist() == [one == 2 for one in ids]
