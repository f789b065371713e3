"""Finds the times at which people are in view that exclude that they are one person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray
from pipeline.cross_camera.members import Member
from pipeline.cross_camera.transit import TransitTimes


class Spans:
    """The times of members in views, sorted by camera and start.

    Attributes (S spans):
        owner: (S,) row of the member.  camera: (S,).  start_s, end_s: (S,).
    """

    def __init__(self, members: Sequence[Member]) -> None:
        table = np.concatenate([np.zeros((0, 3)), *(member.spans for member in members)])
        owner = np.repeat(np.arange(len(members)), [len(member.spans) for member in members])
        order = np.lexsort((table[:, 1], table[:, 0]))
        self.owner: IntArray = owner[order].astype(np.int64)
        self.camera: IntArray = table[order, 0].astype(np.int64)
        self.start_s: NDArray[np.float64] = table[order, 1]
        self.end_s: NDArray[np.float64] = table[order, 2]
        cameras, first, counts = np.unique(self.camera, return_index=True, return_counts=True)
        self._part = {
            camera: slice(begin, begin + count)
            for camera, begin, count in zip(cameras.tolist(), first.tolist(), counts.tolist(), strict=True)
        }

    def excluded(self, others: Spans, transit: TransitTimes) -> tuple[IntArray, IntArray]:
        """Return pairs (own member, other member) of which the other comes into a view when it cannot, as two arrays.

        It cannot come into the same camera during a span of the own member, nor into another camera between the begin
        of that span and its end plus the shortest transit time.
        """
        rows: list[IntArray] = []
        columns: list[IntArray] = []
        for there, theirs in others._part.items():
            begin_s = others.start_s[theirs]
            for here, min_s in [(there, 0.0), *transit.earliest(there)]:
                own = self._part.get(here)
                if own is None:
                    continue
                first = np.searchsorted(begin_s, self.start_s[own], "left")
                after = np.searchsorted(begin_s, self.end_s[own] + min_s, "right" if here == there else "left")
                found, places = _ranges(first, after)
                rows.append(self.owner[own][found])
                columns.append(others.owner[theirs][places])
        if not rows:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(rows), np.concatenate(columns)


def _ranges(first: IntArray, after: IntArray) -> tuple[IntArray, IntArray]:
    """Return every (row, place) with first[row] <= place < after[row], as two arrays."""
    lengths = np.maximum(after - first, 0)
    rows = np.repeat(np.arange(len(first)), lengths)
    begins = np.cumsum(lengths) - lengths
    return rows, np.arange(len(rows)) - begins[rows] + first[rows]
