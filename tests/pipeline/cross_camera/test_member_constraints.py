"""Constraints between members of the second pass, against going through all pairs of their times and places."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cross_camera.distances import MIN_SHARED_SLOTS
from pipeline.cross_camera.floor_pairs import floor_distances_m, floor_pairs
from pipeline.cross_camera.member_constraints import MemberConstraints
from pipeline.cross_camera.members import Member, joined
from pipeline.cross_camera.settings import TransitWindow
from pipeline.cross_camera.transit import TransitTimes
from tests.helpers.factories import linker_settings

CAMERAS = ("a", "b", "c")
WINDOWS = [
    TransitWindow(from_camera="a", to_camera="b", min_s=2, max_s=9),
    TransitWindow(from_camera="b", to_camera="c", min_s=-3, max_s=4, one_way=True),
]


def member(spans: Sequence[tuple[int, int, int]], slots: Sequence[int] = (), x_m: float = 0.0) -> Member:
    table = np.array(spans, np.float64).reshape(-1, 3)
    slots = sorted(set(slots))
    return Member(
        class_id=0,
        embedding_sum=np.zeros(0, np.float32),
        cosine_limit=0.3,
        slots=np.array(slots, np.int64),
        xy_m=np.array([(x_m + 0.1 * slot, 0.0) for slot in slots]).reshape(-1, 2),
        spans=table,
        first=(float(table[:, 1].min()), int(table[0, 0]), 1),
        start_s=float(table[:, 1].min()),
        end_s=float(table[:, 2].max()),
        keys=[("a", 1)],
    )


_SPAN = st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(0, 6)).map(
    lambda s: (s[0], s[1], s[1] + s[2])
)
_MEMBERS = st.lists(
    st.builds(
        member,
        st.lists(_SPAN, min_size=1, max_size=3),
        st.lists(st.integers(0, 12), max_size=8),
        st.integers(0, 5).map(float),
    ),
    max_size=5,
)


def _impossible(one: Member, other: Member, transit: TransitTimes) -> bool:
    for (camera, start_s, end_s), (there, start_there_s, end_there_s) in product(
        one.spans.tolist(), other.spans.tolist()
    ):
        a, b = int(camera), int(there)
        if a == b and start_s <= end_there_s and start_there_s <= end_s:
            return True
        if a != b and start_s <= start_there_s < end_s + transit.min_s[a, b]:
            return True
        if a != b and start_there_s <= start_s < end_there_s + transit.min_s[b, a]:
            return True
    return False


def _slow(one: Member, other: Member, transit: TransitTimes) -> bool:
    if len(one.spans) > 1 or len(other.spans) > 1:
        return False
    (a, start_s, end_s), (b, start_there_s, end_there_s) = one.spans[0].tolist(), other.spans[0].tolist()
    there, back = transit.max_s[int(a), int(b)], transit.max_s[int(b), int(a)]
    return bool(start_there_s - end_s > there or start_s - end_there_s > back)


@pytest.mark.parametrize("windows", [[], WINDOWS])
@settings(max_examples=60, deadline=None)
@given(members=_MEMBERS, others=_MEMBERS)
def test_times(windows: list[TransitWindow], members: list[Member], others: list[Member]) -> None:
    transit = TransitTimes(CAMERAS, windows)
    constraints = MemberConstraints(linker_settings(), transit)
    impossible, slow = constraints.impossible(members, others), constraints.too_slow(members, others)
    for (row, one), (column, other) in product(enumerate(members), enumerate(others)):
        assert impossible[row, column] == _impossible(one, other, transit)
        assert slow[row, column] == _slow(one, other, transit)
    among = constraints.impossible(members, members)
    for (row, one), (column, other) in product(enumerate(members), repeat=2):
        assert among[row, column] == (row != column and _impossible(one, other, transit))


@settings(max_examples=60, deadline=None)
@given(members=_MEMBERS, others=_MEMBERS)
def test_floor_distances_between_two_groups_are_those_within_both(
    members: list[Member], others: list[Member]
) -> None:
    both = floor_distances_m([*members, *others])[: len(members), len(members) :]
    rows, columns, median_m = floor_pairs(members, others)
    found = np.full(both.shape, np.nan)
    found[rows, columns] = median_m
    assert np.array_equal(found, both, equal_nan=True)
    for (row, one), (column, other) in product(enumerate(members), enumerate(others)):
        shared = set(one.slots.tolist()) & set(other.slots.tolist())
        assert np.isnan(found[row, column]) == (len(shared) < MIN_SHARED_SLOTS)


@settings(max_examples=60, deadline=None)
@given(members=_MEMBERS, others=_MEMBERS)
def test_speeds_between_two_groups_are_those_within_both(members: list[Member], others: list[Member]) -> None:
    constraints = MemberConstraints(linker_settings(max_floor_distance_m=0.5), TransitTimes(CAMERAS, []))
    both = [*members, *others]
    expected = constraints.too_fast(both, both)[: len(members), len(members) :]
    assert np.array_equal(constraints.too_fast(members, others), expected)


def test_a_joined_person_has_the_spans_of_all_and_the_weighted_limit() -> None:
    one, other = member([(0, 5, 9), (1, 1, 2)], [3, 4], 1.0), member([(2, 20, 21)], [4, 5], 3.0)
    one.keys, other.keys, other.cosine_limit = [("a", 1), ("b", 1)], [("c", 7)], 0.6
    both = joined([one, other])
    assert (both.start_s, both.end_s, len(both.spans)) == (1, 21, 3)
    assert both.cosine_limit == pytest.approx((2 * 0.3 + 0.6) / 3)
    assert both.slots.tolist() == [3, 4, 5]
    assert both.xy_m[:, 0].tolist() == pytest.approx([1.3, 2.4, 3.5])
    assert both.keys == [("a", 1), ("b", 1), ("c", 7)]
