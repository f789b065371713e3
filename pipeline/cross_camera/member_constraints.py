"""Which members of the second pass cannot be one person, by class, time and place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray
from pipeline.cross_camera.floor_path import SLOT_S
from pipeline.cross_camera.members import Member
from pipeline.cross_camera.settings import LinkerSettings
from pipeline.cross_camera.spans import Spans
from pipeline.cross_camera.transit import TransitTimes

Array = NDArray[np.float64]


class MemberConstraints:
    """The hard constraints between members."""

    def __init__(self, linker: LinkerSettings, transit: TransitTimes) -> None:
        self._linker = linker
        self._transit = transit

    def impossible(self, members: Sequence[Member], others: Sequence[Member]) -> BoolArray:
        """Return the (N, L) pairs of which both are in one camera at the same time, or in two cameras sooner after each
        other than transit times allow. A member and itself are no pair."""
        spans = Spans(members)
        other_spans = spans if others is members else Spans(others)
        result = np.zeros((len(members), len(others)), np.bool_)
        rows, columns = spans.excluded(other_spans, self._transit)
        result[rows, columns] = True
        columns, rows = other_spans.excluded(spans, self._transit)
        result[rows, columns] = True
        if others is members:
            np.fill_diagonal(result, False)
        return result

    def too_slow(self, members: Sequence[Member], others: Sequence[Member]) -> BoolArray:
        """Return the (N, L) pairs whose only connection takes longer than transit times allow.

        Another camera may have seen the person in between, so a long time only removes the direct evidence.
        """
        result = np.zeros((len(members), len(others)), np.bool_)
        if not self._transit.limited:
            return result
        row, camera, start_s, end_s = _single(members)
        column, other_camera, other_start_s, other_end_s = _single(others)
        longest_s = self._transit.max_s
        after = other_start_s[None, :] - end_s[:, None] > longest_s[camera[:, None], other_camera[None, :]]
        before = start_s[:, None] - other_end_s[None, :] > longest_s[other_camera[None, :], camera[:, None]]
        result[np.ix_(row, column)] = after | before
        return result

    def too_fast(self, members: Sequence[Member], others: Sequence[Member]) -> BoolArray:
        """Return the (N, L) pairs between whose floor positions nobody could have walked in time. A member and itself
        are no pair."""
        result = np.zeros((len(members), len(others)), np.bool_)
        placed = [row for row, member in enumerate(members) if len(member.slots)]
        other_placed = [row for row, member in enumerate(others) if len(member.slots)]
        if not placed or not other_placed:
            return result
        first, last = _ends(members, placed), _ends(members, placed, -1)
        other_first, other_last = _ends(others, other_placed), _ends(others, other_placed, -1)
        result[np.ix_(placed, other_placed)] = self._fast(last, other_first) | self._fast(other_last, first).T
        if others is members:
            np.fill_diagonal(result, False)
        return result

    def _fast(self, last: tuple[Array, Array], first: tuple[Array, Array]) -> BoolArray:
        """Return the (A, B) pairs that are too far apart for the time between the last position of one and the first
        position of the other; `last` and `first` are times and positions."""
        # Either position may be the earlier one. Positions of the same slot may be up to one slot apart in time.
        gap_s = np.maximum(np.abs(first[0][None, :] - last[0][:, None]), SLOT_S)
        distance_m = np.linalg.norm(last[1][:, None] - first[1][None, :], axis=-1)
        needed_s = (distance_m - self._linker.max_floor_distance_m) / self._linker.max_speed_m_s
        return np.asarray(needed_s > gap_s)


def other_class(members: Sequence[Member], others: Sequence[Member]) -> BoolArray:
    """Return the (N, L) pairs of different classes."""
    class_id = np.array([member.class_id for member in members], np.int64)
    other_id = np.array([member.class_id for member in others], np.int64)
    return np.asarray(class_id[:, None] != other_id[None, :])


def _single(members: Sequence[Member]) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Return row, camera, start and end of the members with one span."""
    rows = [row for row, member in enumerate(members) if len(member.spans) == 1]
    table = np.concatenate([np.zeros((0, 3)), *(members[row].spans for row in rows)])
    return np.array(rows, np.int64), table[:, 0].astype(np.int64), table[:, 1], table[:, 2]


def _ends(members: Sequence[Member], rows: Sequence[int], place: int = 0) -> tuple[Array, Array]:
    """Return the (R,) times and (R, 2) floor positions at the first or the last slot of some members."""
    time_s = np.array([members[row].slots[place] for row in rows]) * SLOT_S
    return time_s, np.stack([members[row].xy_m[place] for row in rows])
