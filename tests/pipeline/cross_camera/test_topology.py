"""Transit times and shared views, from visits whose times can be added by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cross_camera.topology import FEW_TRANSITS, ObservedTransits, Topology, Visit, observed_topology

CAMERAS = ("hall", "stairs", "yard")


def times(found: Topology) -> dict[tuple[str, str], list[float]]:
    return {(pair.from_camera, pair.to_camera): pair.direct_s.tolist() for pair in found.transits}


@pytest.mark.parametrize(
    ("visits", "expected"),
    [
        pytest.param([("hall", 0, 4), ("yard", 10, 12)], {("hall", "yard"): [6]}, id="one way"),
        pytest.param(
            [("hall", 0, 4), ("yard", 10, 12), ("hall", 15, 20)],
            {("hall", "yard"): [6], ("yard", "hall"): [3]},
            id="there and back",
        ),
        pytest.param(
            [("hall", 0, 4), ("stairs", 6, 7), ("yard", 10, 12)],
            {("hall", "stairs"): [2], ("stairs", "yard"): [3]},
            id="past another camera",
        ),
        pytest.param([("hall", 0, 8), ("yard", 5, 9)], {("hall", "yard"): [-3]}, id="both at one time"),
        pytest.param(
            [("hall", 0, 8), ("stairs", 1, 9), ("yard", 5, 6)],
            {("hall", "stairs"): [-7], ("hall", "yard"): [-3], ("stairs", "yard"): [-4]},
            id="three at one time",
        ),
        pytest.param(
            [("hall", 0, 8), ("yard", 0, 3)],
            {("hall", "yard"): [-8], ("yard", "hall"): [-3]},
            id="from the same moment on",
        ),
        pytest.param([("hall", 0, 4), ("hall", 6, 8), ("yard", 9, 10)], {("hall", "yard"): [1]}, id="two tracks"),
        pytest.param([("hall", 0, 4), ("hall", 6, 8)], {}, id="one camera"),
    ],
)
def test_times_of_one_person(
    visits: list[tuple[str, float, float]], expected: dict[tuple[str, str], list[float]]
) -> None:
    assert times(observed_topology([Visit(1, *visit) for visit in visits], CAMERAS)) == expected


def test_people_are_not_mixed_up() -> None:
    visits = [Visit(1, "hall", 0, 4), Visit(2, "yard", 5, 6), Visit(2, "hall", 7, 9), Visit(1, "yard", 9, 10)]
    assert times(observed_topology(visits, CAMERAS)) == {("hall", "yard"): [5], ("yard", "hall"): [1]}


def pair_of(direct_s: list[float], shortest_s: float | None = None) -> ObservedTransits:
    ordered = np.sort(np.array(direct_s, np.float64))
    return ObservedTransits("hall", "yard", ordered, float(ordered[0]) if shortest_s is None else shortest_s)


@pytest.mark.parametrize(
    ("pair", "min_s", "max_s", "longer"),
    [
        # From 10 to 20 s, and a quarter of the range on each side.
        pytest.param(pair_of([10, 20] * 10), 7, 23, 0, id="a range"),
        pytest.param(pair_of([6] * 10), 5, 7, 0, id="at least a second"),
        # 1 of 21 went to lunch. The 95th percentile is the 20th of 21 times.
        pytest.param(pair_of([10] * 10 + [20] * 10 + [3600]), 7, 23, 1, id="a long absence"),
        # 8 s before the end in the other camera, but the linker compares with its newest moment, 0 s ago.
        pytest.param(pair_of([-8, -4] * 10), -10, 2, 0, id="at one time"),
        pytest.param(pair_of([10, 20] * 10, shortest_s=8.0), 5, 23, 0, id="faster past another camera"),
    ],
)
def test_a_window_holds_short_times_and_most_long_ones(
    pair: ObservedTransits, min_s: float, max_s: float, longer: int
) -> None:
    window = pair.window
    assert (window.min_s, window.max_s, pair.longer) == (min_s, max_s, longer)
    assert window.directions == [("hall", "yard")]


def test_few_transits() -> None:
    assert pair_of([1.0] * (FEW_TRANSITS - 1)).few
    assert not pair_of([1.0] * FEW_TRANSITS).few


def test_shares_of_the_time_in_two_views() -> None:
    """Person 1 is in the hall for 10 s and in the yard for 8 s, 4 s of them in both; person 2 in the hall for 10 s."""
    visits = [
        Visit(1, "hall", 0, 6),
        Visit(1, "hall", 5, 10),  # two tracks of one person do not count twice
        Visit(1, "yard", 6, 14),
        Visit(2, "hall", 20, 30),
    ]
    both, with_stairs, _ = (
        (view.cameras, view.together, view.people, view.together_s, view.seen_s)
        for view in observed_topology(visits, ("hall", "yard", "stairs")).views
    )
    assert both == (("hall", "yard"), 1, 2, 4.0, (20.0, 8.0))
    assert with_stairs == (("hall", "stairs"), 0, 2, 0.0, (20.0, 0.0))
    views = observed_topology(visits, ("hall", "yard", "stairs")).views
    assert [view.shares for view in views] == [(0.2, 0.5), (0.0, 0.0), (0.0, 0.0)]
    assert [view.overlap for view in views] == [True, False, False]


VISITS = st.lists(
    st.builds(
        lambda person, camera, start, length: Visit(person, camera, start / 10, (start + length) / 10),
        st.integers(1, 4),
        st.sampled_from(CAMERAS),
        st.integers(0, 900),
        st.integers(0, 200),
    ),
    max_size=30,
)


@given(visits=VISITS)
def test_no_window_forbids_what_was_seen(visits: list[Visit]) -> None:
    """No one is too fast for a window, as the second pass checks it; and at most one in twenty is too slow."""
    found = observed_topology(visits, CAMERAS)
    for pair in found.transits:
        window = pair.window
        for one in visits:
            for other in visits:
                follows = one.person == other.person and one is not other and one.start_s <= other.start_s
                if follows and (one.camera_id, other.camera_id) == (pair.from_camera, pair.to_camera):
                    assert other.start_s - one.end_s >= window.min_s
        assert pair.longer <= 0.05 * pair.count
        if pair.shortest_s <= 0:
            assert window.max_s >= 1


@given(visits=VISITS, shift_s=st.integers(-1000, 1000))
def test_only_differences_of_times_count(visits: list[Visit], shift_s: int) -> None:
    moved = [one._replace(start_s=one.start_s + shift_s, end_s=one.end_s + shift_s) for one in visits]
    before, after = (times(observed_topology(some, CAMERAS)) for some in (visits, moved))
    assert before.keys() == after.keys()
    for pair, direct_s in before.items():
        assert after[pair] == pytest.approx(direct_s, abs=1e-6)
