"""Counts in the demo scene, whose people and positions are known. The figures are those of docs/counting.md."""

from __future__ import annotations

from pipeline.counting.count import Counted
from pipeline.counting.totals import Totals
from tests.helpers.counting import counted
from tests.helpers.demo_counts import LINES, ZONES, true_boxes, true_positions


def zone(totals: Totals, name: str) -> tuple[int, int, int, int]:
    one = totals.zones[name]
    return one.people, one.entered, one.left, one.max_occupancy


def line(totals: Totals, name: str) -> tuple[int, int]:
    one = totals.lines[name]
    return one.in_crossings, one.out_crossings


def count_truth(rows: list) -> Counted:  # type: ignore[type-arg]
    return counted(rows, ZONES, LINES)


def test_true_positions() -> None:
    totals = count_truth(true_positions()).totals
    assert zone(totals, "lobby") == (12, 12, 10, 5)
    assert zone(totals, "gallery") == (11, 11, 10, 4)
    assert (line(totals, "door"), line(totals, "half")) == ((3, 8), (3, 6))


def test_what_the_cameras_see() -> None:
    result = count_truth(true_boxes())
    assert zone(result.totals, "lobby") == (12, 12, 9, 5)
    assert zone(result.totals, "gallery") == (11, 11, 10, 3)
    assert (line(result.totals, "door"), line(result.totals, "half")) == ((3, 8), (2, 6))
    # Stays end a little earlier where the cameras lose sight of people.
    true_s = count_truth(true_positions()).totals.zones["lobby"].mean_dwell_s
    seen_s = result.totals.zones["lobby"].mean_dwell_s
    assert true_s is not None
    assert seen_s is not None
    assert 0 < true_s - seen_s < 1.0
