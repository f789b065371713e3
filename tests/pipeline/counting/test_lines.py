"""Paths and the crossings that they give at a line at x = 5, of which in is towards growing x; a position a second."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.counting import EXACT, LINE, counted, row, told, walk


@pytest.mark.parametrize(
    ("title", "xs", "settings", "expected"),
    [
        ("in", [0, 4, 6, 10], {}, ["cross 1 in @1.5"]),
        ("out", [10, 6, 4, 0], {}, ["cross 1 out @1.5"]),
        ("the moment is where the way crosses", [4, 8], {}, ["cross 1 in @0.25"]),
        ("in and out again", [0, 10, 0], {}, ["cross 1 in @0.5", "cross 1 out @1.5"]),
        ("not quite", [0, 4, 0], {}, []),
        (
            "flicker on the line counts once",
            [0, 4.9, 5.1, 4.9, 5.1, 4.9, 5.1, 10],
            {"margin_m": 0.5},
            ["cross 1 in @5.5"],
        ),
        ("flicker and back counts never", [0, 4.9, 5.1, 4.9, 5.1, 4.9, 0], {"margin_m": 0.5}, []),
        (
            "who stays on the line crosses at most once",
            [4.9, 5.1, 4.9, 5.1],
            {"margin_m": 0.5},
            ["cross 1 in @2.5"],
        ),
        ("last seen behind the line, within the margin", [0, 4.9, 5.1], {"margin_m": 0.5}, ["cross 1 in @1.5"]),
        ("there and back within min_s", [0, 10, 0, 0], {"min_s": 1.5}, []),
        ("there and back after min_s", [0, 10, 0, 0], {"min_s": 1.0}, ["cross 1 in @0.5", "cross 1 out @1.5"]),
        ("over a gap", [0, None, None, 10], {"max_gap_s": 3.0}, ["cross 1 in @1.5"]),
        ("not over a longer gap", [0, None, None, None, 10], {"max_gap_s": 3.0}, []),
    ],
)
def test_a_path(title: str, xs: list[float | None], settings: dict[str, Any], expected: list[str]) -> None:
    assert told(counted(walk(xs), lines=[LINE], **{**EXACT, **settings})) == expected, title


def test_past_the_end_of_the_line() -> None:
    rows = [row(0.0, (0.0, 12.0)), row(1.0, (10.0, 12.0)), row(2.0, (10.0, 5.0))]
    assert told(counted(rows, lines=[LINE], **EXACT)) == []


def test_totals() -> None:
    rows = [*walk([0, 10, 0, 10]), *walk([10, 0], person=2)]
    totals = counted(rows, lines=[LINE], **EXACT).totals.lines["line"]
    assert (totals.in_people, totals.in_crossings, totals.out_people, totals.out_crossings) == (1, 2, 2, 2)


# The line goes up in the picture of cam1, and down in that of cam2, which looks from the other side.
TWO_VIEWS = {"name": "door", "points_px": {"cam1": [[50, 100], [50, 0]], "cam2": [[50, 0], [50, 100]]}}


def px(camera: str, start_s: float, xs: list[float], person: int = 1) -> list[Any]:
    return [row(start_s + number, foot_px=(x, 50.0), camera=camera, person=person) for number, x in enumerate(xs)]


def test_right_in_a_picture_is_in() -> None:
    rows = px("cam1", 0.0, [0, 100, 0])
    assert told(counted(rows, lines=[TWO_VIEWS], **EXACT)) == ["cross 1 in @0.5", "cross 1 out @1.5"]


def test_two_cameras_see_one_crossing() -> None:
    rows = [*px("cam1", 0.0, [0, 100]), *px("cam2", 1.0, [100, 0])]
    (event,) = counted(rows, lines=[TWO_VIEWS], **EXACT).events
    assert (event.time_s, event.cameras) == (0.5, ("cam1", "cam2"))


@pytest.mark.parametrize(
    ("title", "other", "crossings"),
    [
        ("later than same_crossing_s", px("cam2", 3.0, [100, 0]), 2),
        ("in the other direction", px("cam2", 0.2, [0, 100]), 2),
        ("of another person", px("cam2", 0.2, [100, 0], person=2), 2),
        ("by the same camera", px("cam1", 1.1, [0, 100]), 3),
    ],
)
def test_other_crossings_are_other_ones(title: str, other: list[Any], crossings: int) -> None:
    rows = [*px("cam1", 0.0, [0, 100]), *other]
    assert len(counted(rows, lines=[TWO_VIEWS], **EXACT).events) == crossings, title
