"""Floor distances of members that stood somewhere at the same times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray
from pipeline.cross_camera.distances import MIN_SHARED_SLOTS
from pipeline.cross_camera.members import Member

Pairs = tuple[IntArray, IntArray, NDArray[np.float64]]


def floor_distances_m(members: Sequence[Member]) -> NDArray[np.float64]:
    """Return the (N, N) median distances at the same times, NaN with too few shared time slots."""
    count = len(members)
    distances = np.full((count, count), np.nan)
    a, b, median = _medians(*_positions(members), count, count)
    distances[a, b] = distances[b, a] = median
    return distances


def floor_pairs(members: Sequence[Member], others: Sequence[Member]) -> Pairs:
    """Return (member, other, median distance in metres) of the pairs that share enough time slots, as three arrays."""
    slots, owner, xy_m = _positions(members)
    other_slots, other_owner, other_xy_m = _positions(others)
    # Most of the others stood nowhere at the times of the members.
    used, other_used = np.isin(slots, other_slots), np.isin(other_slots, slots)
    a, b, median = _medians(
        np.concatenate([slots[used], other_slots[other_used]]),
        np.concatenate([owner[used], other_owner[other_used] + len(members)]),
        np.concatenate([xy_m[used], other_xy_m[other_used]]),
        len(members) + len(others),
        len(members),
    )
    return a, b - len(members), median


def _positions(members: Sequence[Member]) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return (P,) time slots, (P,) rows of their members, and (P, 2) positions in metres."""
    slots = np.concatenate([np.zeros(0, np.int64), *(member.slots for member in members)])
    owner = np.repeat(np.arange(len(members)), [len(member.slots) for member in members])
    return slots, owner, np.concatenate([np.zeros((0, 2)), *(member.xy_m for member in members)])


def _medians(slots: IntArray, owner: IntArray, xy_m: NDArray[np.float64], count: int, first_of_b: int) -> Pairs:
    """Return (a, b, median distance) of pairs of members with enough shared time slots.

    Args:
        slots, owner, xy_m: positions, as from `_positions`.
        count: number of members.
        first_of_b: `count` for all pairs; otherwise a is below it and b is not.
    """
    order = np.argsort(slots, kind="stable")
    slots, owner, xy_m = slots[order], owner[order], xy_m[order]
    # Positions of one slot are now adjacent: compare neighbours, then next but one, and so on up to the fullest slot.
    pairs, apart_m = [np.zeros(0, np.int64)], [np.zeros(0)]
    for step in range(1, len(slots)):
        left = np.flatnonzero(slots[step:] == slots[:-step])
        if not len(left):
            break
        if first_of_b < count:
            left = left[(owner[left] < first_of_b) != (owner[left + step] < first_of_b)]
        one, other = owner[left], owner[left + step]
        if first_of_b < count:
            one, other = np.minimum(one, other), np.maximum(one, other)
        pairs.append(one * count + other)
        apart_m.append(np.linalg.norm(xy_m[left] - xy_m[left + step], axis=1))
    pair, apart = np.concatenate(pairs), np.concatenate(apart_m)
    order = np.lexsort((apart, pair))
    pair, apart = pair[order], apart[order]
    found, begin, shared = np.unique(pair, return_index=True, return_counts=True)
    enough = shared >= MIN_SHARED_SLOTS
    begin, shared = begin[enough], shared[enough]
    median = (apart[begin + (shared - 1) // 2] + apart[begin + shared // 2]) / 2
    a, b = np.divmod(found[enough], max(count, 1))
    return a, b, median
