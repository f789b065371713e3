"""Paths and the events that they give at a zone: a square from x = 0 to 10, a position a second, no margin."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.counting import EXACT, SQUARE, counted, row, told, walk

IN, OUT = 5.0, -5.0


@pytest.mark.parametrize(
    ("title", "xs", "settings", "expected"),
    [
        ("never inside", [OUT] * 3, {}, []),
        ("in and out", [OUT, IN, IN, OUT], {}, ["enter 1 crossed @1", "leave 1 crossed @3"]),
        ("in and still there", [OUT, IN, IN], {}, ["enter 1 crossed @1"]),
        ("first seen inside", [IN, IN, OUT], {}, ["enter 1 appeared @0", "leave 1 crossed @2"]),
        ("on the border is inside", [OUT, 0.0, OUT], {}, ["enter 1 crossed @1", "leave 1 crossed @2"]),
        ("twice", [OUT, IN, OUT, IN], {}, ["enter 1 crossed @1", "leave 1 crossed @2", "enter 1 crossed @3"]),
        (
            "within the margin nothing changes",
            [OUT, 0.5, -0.5, 0.5, IN, 0.5, -0.5, 0.5, OUT],
            {"margin_m": 1.0},
            ["enter 1 crossed @4", "leave 1 crossed @8"],
        ),
        ("only within the margin", [-0.5, 0.5, -0.5], {"margin_m": 1.0}, []),
        (
            "exactly the margin is enough",
            [OUT, 1.0, -1.0],
            {"margin_m": 1.0},
            ["enter 1 crossed @1", "leave 1 crossed @2"],
        ),
        (
            "a side counts after min_s, from its first moment on",
            [OUT, OUT, OUT, IN, IN, IN, OUT, OUT, OUT],
            {"min_s": 2.0},
            ["enter 1 crossed @3", "leave 1 crossed @6"],
        ),
        ("a visit below min_s", [OUT, OUT, OUT, IN, IN, OUT, OUT, OUT], {"min_s": 2.0}, []),
        (
            "an absence below min_s",
            [IN, IN, IN, OUT, OUT, IN, IN, IN],
            {"min_s": 2.0},
            ["enter 1 appeared @0"],
        ),
        (
            "a gap of max_gap_s is bridged",
            [OUT, IN, None, None, IN, OUT],
            {"max_gap_s": 3.0},
            ["enter 1 crossed @1", "leave 1 crossed @5"],
        ),
        (
            "after a longer gap, the person has left when last seen",
            [OUT, IN, None, None, None, IN, OUT],
            {"max_gap_s": 3.0},
            ["enter 1 crossed @1", "leave 1 vanished @1", "enter 1 appeared @5", "leave 1 crossed @6"],
        ),
        (
            "a gap outside says nothing about how the person came in",
            [OUT, None, None, None, IN],
            {"max_gap_s": 3.0},
            ["enter 1 appeared @4"],
        ),
    ],
)
def test_a_path(title: str, xs: list[float | None], settings: dict[str, Any], expected: list[str]) -> None:
    assert told(counted(walk(xs), [SQUARE], **{**EXACT, **settings})) == expected, title


def test_who_vanishes_has_left_only_when_the_recording_is_long_enough() -> None:
    other = walk([OUT] * 9, person=2)
    assert told(counted([*walk([IN, IN]), *other], [SQUARE], **EXACT)) == [
        "enter 1 appeared @0",
        "leave 1 vanished @1",
    ]
    assert told(counted([*walk([IN, IN]), *other[:7]], [SQUARE], **EXACT)) == ["enter 1 appeared @0"]


def test_dwell_and_occupancy() -> None:
    zone = {**SQUARE, "dwell_s": 2.0, "max_people": 2}
    rows = [*walk([OUT, IN, IN, IN, IN, OUT]), *walk([OUT, OUT, IN, IN, OUT, OUT], person=2)]
    result = counted(rows, [zone], **EXACT)
    assert told(result) == [
        "enter 1 crossed @1",
        "enter 2 crossed @2",
        "occupancy 2 @2",
        "dwell 1 @3",
        "leave 2 crossed @4",
        "leave 1 crossed @5",
    ]
    assert [one.occupancy for one in result.events] == [1, 2, 2, 2, 1, 0]
    assert [one.dwell_s for one in result.events] == [None, None, None, 2.0, 2.0, 4.0]


def test_a_dwell_is_not_told_of_who_left_before() -> None:
    zone = {**SQUARE, "dwell_s": 2.0}
    assert "dwell" not in " ".join(told(counted(walk([OUT, IN, IN, OUT, OUT]), [zone], **EXACT)))


def test_totals() -> None:
    rows = [
        *walk([OUT, IN, IN, IN, OUT, IN, OUT]),  # stays of 3 s and 1 s
        *walk([OUT, OUT, IN, OUT], person=2),  # of 1 s
        *walk([IN, IN, IN, IN, IN, IN, IN], person=3),  # to the end
    ]
    totals = counted(rows, [SQUARE], **EXACT).totals.zones["square"]
    assert (totals.people, totals.entered, totals.appeared, totals.left, totals.vanished) == (3, 4, 1, 3, 0)
    assert (totals.present, totals.max_occupancy, totals.max_time_s) == (1, 3, 2.0)
    assert (totals.stays, totals.mean_dwell_s, totals.median_dwell_s) == (3, pytest.approx(5 / 3), 1.0)


def test_an_empty_run() -> None:
    result = counted([], [SQUARE], **EXACT)
    assert result.events == []
    assert result.totals.zones["square"].max_time_s is None


TWO_VIEWS = {
    "name": "both",
    "polygons_px": {
        "cam1": [[0, 0], [100, 0], [100, 100], [0, 100]],
        "cam2": [[0, 0], [100, 0], [100, 100], [0, 100]],
    },
}


def seen(camera: str, seconds: range, x: float) -> list[Any]:
    return [row(float(second), foot_px=(x, 50.0), camera=camera) for second in seconds]


def test_a_person_is_inside_if_one_camera_says_so() -> None:
    rows = [
        *seen("cam1", range(0, 2), -50),
        *seen("cam1", range(2, 6), 50),
        *seen("cam2", range(4, 9), 50),
        *seen("cam1", range(6, 12), -50),
        *seen("cam2", range(9, 12), -50),
    ]
    result = counted(rows, [TWO_VIEWS], **EXACT)
    assert told(result) == ["enter 1 crossed @2", "leave 1 crossed @9"]
    assert [one.cameras for one in result.events] == [("cam1",), ("cam2",)]


def test_a_person_goes_from_view_to_view_without_leaving() -> None:
    rows = [*seen("cam1", range(0, 4), 50), *seen("cam2", range(6, 9), 50), *seen("cam2", range(9, 20), -50)]
    assert told(counted(rows, [TWO_VIEWS], **EXACT)) == ["enter 1 appeared @0", "leave 1 crossed @9"]


def test_two_cameras_that_disagree_on_the_floor_are_one_position() -> None:
    rows = [*walk([OUT, -1.0, 1.0, IN]), *walk([OUT, -3.0, 3.0, IN], camera="cam2")]
    assert told(counted(rows, [SQUARE], **EXACT)) == ["enter 1 crossed @2"]
    # The mean of -1 and 3 is inside, although the first camera says outside.
    rows = [*walk([OUT, -1.0, OUT]), *walk([OUT, 3.0, OUT], camera="cam2")]
    assert told(counted(rows, [SQUARE], **EXACT)) == ["enter 1 crossed @1", "leave 1 crossed @2"]


def test_what_is_not_counted_is_said() -> None:
    rows = [
        *walk([OUT, IN, OUT]),
        *walk([IN], person=2),
        row(1.0, None, person=3),
        row(2.0, None, person=3),
        row(1.0, (5.0, 5.0), person=4, class_name="dog"),
    ]
    result = counted(rows, [SQUARE], **{**EXACT, "min_s": 0.5, "min_seen_s": 1.0, "classes": ["person"]})
    assert told(result) == []
    left_out = result.left_out
    assert (left_out.rows, dict(left_out.without_floor)) == (7, {"cam1": 2})
    assert (left_out.never_on_floor, left_out.fragments, left_out.fragment_events) == (1, 1, 0)
    assert left_out.short_visits["square"] == 2
    assert left_out.other_classes == {"dog": 1}
    text = "\n".join(result.notes)
    for part in ("2 of 7 (2 of cam1)", "floor: 1", "counting.min_seen_s", "square 2", "dog 1"):
        assert part in text
    assert "square 2" in text


def test_a_fragment_counts_once_it_was_seen_for_long_enough() -> None:
    assert told(counted(walk([IN, IN, IN]), [SQUARE], **{**EXACT, "min_seen_s": 2.0})) == ["enter 1 appeared @0"]
    result = counted(walk([IN, IN]), [SQUARE], **{**EXACT, "min_seen_s": 2.0})
    assert told(result) == []
    assert (result.left_out.fragments, result.left_out.fragment_events) == (1, 1)
