"""The parts of a report, with numbers that can be checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.cross_camera.floor_path import FloorPath
from pipeline.recorded.missing_tracklets import TrackRows
from pipeline.recorded.people import Person, TrackSpan, people_of
from pipeline.report.best_boxes import BestBoxes, ChosenBox
from pipeline.report.floor_plan import floor_plan, paths_of
from pipeline.report.pictures import MOST_BYTES, picture_of
from pipeline.report.timeline import lane_of, ticks
from pipeline.report.transits import camera_graph, transits
from pipeline.report.words import Clock, counted, duration_text, listed, percent, started_text

CAMERAS = {"a": 0, "b": 1, "c": 2}


def people(*spans: tuple[str, float, float, int]) -> list[Person]:
    return people_of(
        TrackSpan(camera_id, number, "person", start_s, end_s, 10, 2, Link(global_id, 0.9, final=True))
        for number, (camera_id, start_s, end_s, global_id) in enumerate(spans, start=1)
    )


# -- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time_s", "end_s", "text"),
    [
        (0.0, 30.0, "0:00.0"),
        (9.96, 30.0, "0:10.0"),
        (59.96, 90.0, "1:00.0"),
        (75.5, 90.0, "1:15.5"),
        (-1.5, 90.0, "-0:01.5"),
        (75.5, 700.0, "1:16"),
        (3725.0, 4000.0, "1:02:05"),
    ],
)
def test_times_on_the_clock_of_the_run(time_s: float, end_s: float, text: str) -> None:
    assert Clock(None, end_s).text(time_s) == text


def test_times_of_day() -> None:
    clock = Clock(datetime(2026, 5, 1, 10, 0, 0, tzinfo=UTC), 10.0)
    assert clock.span(5.0, 65.0) == "10:00:05 – 10:01:05"
    assert "2026-05-01" in clock.unit


def test_numbers_in_words() -> None:
    assert [duration_text(seconds) for seconds in (4.24, 9.96, 59.4, 65, 3725)] == [
        "4.2 s",
        "10 s",
        "59 s",
        "1 min 05 s",
        "1 h 02 min",
    ]
    assert [counted(1, "box", "boxes"), counted(1234, "row")] == ["1 box", "1,234 rows"]
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"])] == ["", "a", "a, b and c"]
    assert [percent(None), percent(0.4567)] == ["–", "45.7"]
    assert [started_text("2026-05-01T10:00:02+02:00"), started_text("soon")] == ["2026-05-01 08:00 UTC", ""]


# -- timeline -----------------------------------------------------------------------------------------------------


def test_bars_are_in_percent_and_overlapping_ones_below_each_other() -> None:
    someone = people(("a", 0, 5, 1), ("b", 4, 6, 1), ("a", 10, 20, 1))
    bars = lane_of(someone, CAMERAS, 0.0, 20.0, Clock(None, 20.0))
    assert [(bar.camera_id, bar.left, bar.width, bar.top, bar.height) for bar in bars] == [
        ("a", 0, 25, 0, 50),
        ("b", 20, 10, 50, 50),
        ("a", 50, 50, 0, 100),
    ]
    assert bars[1].title == "b: 0:04.0 – 0:06.0 (2.0 s), link 0.90"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=8))
def test_no_bar_lies_upon_another_or_outside(spans: list[tuple[str, float, float]]) -> None:
    someone = people(*((camera, start_s, start_s + long_s, 1) for camera, start_s, long_s in spans))
    bars = lane_of(someone, CAMERAS, 0.0, 100.0, Clock(None, 100.0))
    assert sum(len(person.stays) for person in someone) == len(bars)
    for number, bar in enumerate(bars):
        assert 0 <= bar.left <= bar.left + bar.width <= 100.01
        assert 0 <= bar.top <= bar.top + bar.height <= 100.1
        for other in bars[:number]:
            beside = bar.left + bar.width <= other.left + 0.3 or other.left + other.width <= bar.left + 0.3
            below = bar.top + bar.height <= other.top + 0.1 or other.top + other.height <= bar.top + 0.1
            assert beside or below


@pytest.mark.parametrize(
    ("start_s", "end_s", "texts"),
    [
        (0.0, 30.0, ["0:00.0", "0:05.0", "0:10.0", "0:15.0", "0:20.0", "0:25.0", "0:30.0"]),
        (7.0, 18.0, ["0:08.0", "0:10.0", "0:12.0", "0:14.0", "0:16.0", "0:18.0"]),
        (0.0, 7000.0, ["0:00:00", "0:30:00", "1:00:00", "1:30:00"]),
    ],
)
def test_ticks_are_at_round_times(start_s: float, end_s: float, texts: list[str]) -> None:
    assert [tick.text for tick in ticks(start_s, end_s, Clock(None, end_s))] == texts


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_there_are_few_ticks(start_s: float, long_s: float) -> None:
    found = ticks(start_s, start_s + long_s, Clock(None, start_s + long_s))
    assert len(found) <= 8
    assert all(0 <= tick.left <= 100.001 for tick in found)


# -- ways between cameras -----------------------------------------------------------------------------------------


def test_transits_are_counted_with_their_times() -> None:
    found = transits(
        people(
            ("a", 0, 5, 1), ("b", 8, 10, 1), ("a", 14, 20, 1), ("a", 30, 35, 1),  # a-b 3 s, b-a 4 s
            ("a", 0, 5, 2), ("b", 4, 10, 2),  # a-b -1 s
            ("a", 0, 5, 3), ("b", 15, 20, 3),  # a-b 10 s
        )
    )  # fmt: skip
    assert [(one.from_camera, one.to_camera, list(one.gaps_s), one.median_s) for one in found] == [
        ("a", "b", [-1, 3, 10], 3),
        ("b", "a", [4], 4),
    ]
    assert transits(people(("a", 0, 5, 1))) == []


@pytest.mark.parametrize("count", [1, 2, 3, 8, 20])
def test_the_graph_stays_inside_its_drawing(count: int) -> None:
    cameras = {f"camera{number}": number for number in range(count)}
    someone = people(*((name, 10.0 * number, 10.0 * number + 5, 1) for name, number in cameras.items()))
    graph = camera_graph(someone, cameras, transits(someone))
    assert len(graph.arrows) == count - 1
    for x, y in [
        *((node.x, node.y) for node in graph.nodes),
        *((arrow.text_x, arrow.text_y) for arrow in graph.arrows),
    ]:
        assert 0 <= x <= graph.width
        assert 0 <= y <= graph.height


# -- floor plan ---------------------------------------------------------------------------------------------------


def rows_at(positions_m: list[tuple[float, float, float]]) -> TrackRows:
    """A track with floor positions (time in s, x, y)."""
    floor = FloorPath(1024)
    for time_s, x, y in positions_m:
        floor.add(time_s, (x, y))
    return TrackRows(positions_m[0][0], positions_m[-1][0], "person", Link(1, 0.9), len(positions_m), floor)


def test_a_walk_along_the_floor() -> None:
    (person,) = people(("a", 0, 10, 1))
    walk = rows_at([(0.25 * step, 0.25 * step, 3.0) for step in range(41)])
    plan = floor_plan([person], {("a", 1): walk}, CAMERAS)
    assert plan is not None
    (path,) = plan.paths
    # The ends of a smoothed line are up to two slots further inside.
    assert plan.left == pytest.approx(-1 + 0.25, abs=0.26)
    assert plan.left + plan.width == pytest.approx(10 + 1 - 0.25, abs=0.26)
    assert (plan.top, plan.height) == (2.0, 2.0)
    assert path.points.split()[10] == "2.50,3.00"
    assert plan.square_m == 1
    assert plan.outside == 0
    assert paths_of(plan, person) == plan


def test_the_way_ends_where_the_person_was_away_and_errors_do_not_shrink_it() -> None:
    (person,) = people(("a", 0, 100, 1))
    there = [(0.25 * step, 0.1 * step, 0.0) for step in range(200)]
    back = [(80 + 0.25 * step, 0.1 * step, 5.0) for step in range(80)]
    plan = floor_plan([person], {("a", 1): rows_at([*there, *back])}, CAMERAS)
    assert plan is not None
    assert len(plan.paths) == 2
    one_error = floor_plan([person], {("a", 1): rows_at([*there, *back, (101.0, 900.0, 0.0)])}, CAMERAS)
    assert one_error is not None
    assert (one_error.outside, one_error.width) == (0, pytest.approx(plan.width, abs=0.1))
    errors = [(101 + 0.25 * step, 900.0, 0.0) for step in range(3)]
    crowd = people(*(("a", 0, 100, number) for number in range(1, 5)))
    walks = {("a", number): rows_at([*there, *back]) for number in range(2, 5)}
    several = floor_plan(crowd, {("a", 1): rows_at([*there, *back, *errors]), **walks}, CAMERAS)
    assert several is not None
    assert several.outside > 0
    assert several.width < 2 * plan.width


def test_without_positions_there_is_no_plan() -> None:
    someone = people(("a", 0, 5, 1))
    track = TrackRows(0, 5, "person", Link(1, 0.9), 10)
    assert floor_plan(someone, {("a", 1): track}, CAMERAS) is None
    assert floor_plan([], {}, CAMERAS) is None


# -- pictures -----------------------------------------------------------------------------------------------------


def row(frame_index: int, track_id: int, xyxy: tuple[float, float, float, float], confidence: float) -> LinkedRow:
    return LinkedRow(
        TrajectoryRow("a", track_id, frame_index, frame_index / 10, "person", xyxy, confidence),
        Link(track_id, 0.9),
    )


def test_a_good_crop_is_chosen_before_a_larger_one_that_is_cut_off() -> None:
    rows = [
        row(0, 1, (0, 20, 60, 190), 0.9),  # cut off on the left
        row(5, 1, (30, 20, 60, 80), 0.8),
        row(9, 1, (40, 20, 70, 80), 0.9),
        row(25, 1, (60, 20, 90, 80), 0.6),
        row(25, 2, (61, 21, 91, 81), 0.9),  # covers the other
    ]
    best = BestBoxes({"a": (200, 200)})
    assert list(best.watch(rows)) == rows
    chosen = best.of_tracks()
    assert [box.frame_index for box in chosen["a", 1]] == [9, 25]
    assert [box.quality[0] for box in chosen["a", 1]] == [True, False]


def test_at_most_eight_boxes_of_a_long_track_are_kept_and_they_come_from_its_whole_length() -> None:
    best = BestBoxes({"a": (200, 200)})
    for _ in best.watch(row(index, 1, (30, 20, 60, 80), 0.9) for index in range(0, 6000, 5)):
        pass
    (boxes,) = best.of_tracks().values()
    assert 4 <= len(boxes) <= 8
    assert max(box.time_s for box in boxes) - min(box.time_s for box in boxes) > 300


@pytest.mark.parametrize(
    ("xyxy", "size_wh"),
    [
        # With 4 % on each side and rounded outwards: 44 x 108 px.
        ((10, 10, 50, 110), (59, 144)),
        # 12 x 22 px, enlarged twice and not more.
        ((10, 10, 20, 30), (24, 44)),
        ((0, 0, 400, 100), (144, 37)),
        ((-50, -50, 5, 5), (16, 16)),
        ((-50, -50, -5, -5), None),
    ],
)
def test_pictures_are_small(xyxy: tuple[float, float, float, float], size_wh: tuple[int, int] | None) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    made = picture_of(noise, ChosenBox("a", 1, 0, 0.0, xyxy, (True, 1.0)))
    if size_wh is None:
        assert made is None
        return
    assert made is not None
    assert made.size_wh == size_wh
    assert made.uri.startswith("data:image/jpeg;base64,")
    assert len(made.uri) <= 4 / 3 * MOST_BYTES + 30
