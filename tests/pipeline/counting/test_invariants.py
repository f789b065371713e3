"""What holds for any paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from pipeline.core.datatypes import LinkedRow
from pipeline.counting.count import Counted, count
from pipeline.counting.counter import PeopleCounter
from pipeline.counting.events import Direction, Kind, Occupancies, sorted_events
from tests.helpers.counting import LINE, SQUARE, counting_config, row

ZONE_PX = {"name": "px", "polygons_px": {name: [[0, 0], [10, 0], [10, 10], [0, 10]] for name in ("cam1", "cam2")}}
LINE_PX = {"name": "line px", "points_px": {name: [[5, 0], [5, 10]] for name in ("cam1", "cam2")}}
SETTINGS = {"margin_m": 0.5, "margin_px": 0.5, "min_s": 1.0, "max_gap_s": 2.5, "min_seen_s": 0.0}

Step = tuple[int, int, str, int, int]


def rows_of(steps: Sequence[Step]) -> list[LinkedRow]:
    """Rows in order of time, without two of a person in a camera at a time."""
    found = {(time, person, camera): (x, y) for time, person, camera, x, y in steps}
    rows = [
        row(time / 2, (x / 2, y / 2), foot_px=(x / 2, y / 2), person=person, camera=camera)
        for (time, person, camera), (x, y) in found.items()
    ]
    return sorted(rows, key=lambda linked: (linked.row.time_s, linked.row.camera_id, linked.link.global_id))


def steps(cameras: Sequence[str]) -> Any:
    place = st.integers(-6, 26)
    step = st.tuples(st.integers(0, 40), st.integers(1, 2), st.sampled_from(cameras), place, place)
    return st.lists(step, max_size=60).map(rows_of)


def everything(rows: Sequence[LinkedRow], **changes: float) -> Counted:
    config = counting_config([SQUARE, ZONE_PX], [LINE, LINE_PX], **{**SETTINGS, **changes})
    return count(rows, config.zones, config.lines, config.counting)


@given(steps(["cam1", "cam2"]))
@settings(max_examples=150, deadline=None)
def test_entered_less_left_is_inside_at_any_time(rows: list[LinkedRow]) -> None:
    result = everything(rows)
    for zone in ("square", "px"):
        inside: set[int] = set()
        for event in (one for one in result.events if one.zone == zone):
            if event.kind is Kind.ENTER:
                assert event.global_id not in inside
                inside.add(event.global_id)
            elif event.kind is Kind.LEAVE:
                inside.remove(event.global_id)
                assert event.dwell_s is not None
                assert event.dwell_s >= 0
            assert event.occupancy == len(inside)
        totals = result.totals.zones[zone]
        assert totals.entered - totals.left == totals.present == len(inside)
    assert [one.time_s for one in result.events] == sorted(one.time_s for one in result.events)


@given(steps(["cam1", "cam2"]), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_cameras_changes_nothing(rows: list[LinkedRow], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    shuffled.sort(key=lambda linked: linked.row.time_s)
    assert everything(shuffled).events == everything(rows).events


@given(steps(["cam1"]))
@settings(max_examples=200, deadline=None)
def test_backwards_in_time_swaps_in_and_out(rows: list[LinkedRow]) -> None:
    end_s = 100.0
    back = [
        LinkedRow(linked.row._replace(time_s=end_s - linked.row.time_s), linked.link) for linked in reversed(rows)
    ]
    forward, backward = everything(rows), everything(back)
    for line in ("line", "line px"):
        counts = Counter(one.direction for one in forward.events if one.line == line)
        swapped = Counter(one.direction for one in backward.events if one.line == line)
        assert counts[Direction.IN] == swapped[Direction.OUT]
        assert counts[Direction.OUT] == swapped[Direction.IN]
    for zone in ("square", "px"):
        # Stays that are cut off at the end of the recording are entered and not left.
        one, other = forward.totals.zones[zone], backward.totals.zones[zone]
        assert (one.entered, one.people) == (other.entered, other.people)
        assert one.left + one.present == other.left + other.present


@given(steps(["cam1", "cam2"]), st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_it_does_not_matter_when_the_time_is_advanced(rows: list[LinkedRow], at_once: int) -> None:
    config = counting_config([SQUARE, ZONE_PX], [LINE, LINE_PX], **SETTINGS)
    counter = PeopleCounter(config.zones, config.lines, config.counting)
    events = []
    times = sorted({linked.row.time_s for linked in rows})
    for begin in range(0, len(times), at_once):
        part = times[begin : begin + at_once]
        events += counter.add([linked for linked in rows if linked.row.time_s in part])
        events += counter.advance(part[-1])
    events += counter.finish()
    assert list(Occupancies(config.zones).with_occupancy(sorted_events(events))) == everything(rows).events
