"""One track compared with all known identities: distances, costs, and what makes an identity impossible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, IntArray
from pipeline.core.decisions import Candidate, Obstacle
from pipeline.cross_camera.distances import Array


@dataclass(frozen=True, eq=False)
class Comparison:
    """A track compared with I identities.

    Attributes:
        global_id: (I,) of the identities.
        appearance: (I,) cosine distances, +inf where unknown.
        floor_m: (I,) floor distances in metres, NaN with too few positions of the same time.
        possible: for each obstacle, (I,) whether it leaves an identity possible.
        allowed: (I,) whether all of them do.
        cost: (I,) relative to the limit; +inf where nothing is known or the floor distance is too large. Obstacles are
            not considered.
        limit: match limit on cosine distances.
    """

    global_id: IntArray
    appearance: Array
    floor_m: NDArray[np.float64]
    possible: Mapping[Obstacle, BoolArray]
    allowed: BoolArray
    cost: Array
    limit: np.float64

    def candidates(self, count: int, later_obstacles: Mapping[Obstacle, BoolArray]) -> tuple[Candidate, ...]:
        """Return the `count` best candidates, those that are possible first, then by cost.

        Args:
            later_obstacles: as `possible`, for obstacles that are known only after the comparison.
        """
        obstacles = {
            **self.possible,
            Obstacle.APART: ~np.isinf(self.cost) | np.isnan(self.floor_m),
            **later_obstacles,
        }
        allowed = np.logical_and.reduce(list(obstacles.values()))
        order = np.lexsort((self.global_id, self.appearance, self.cost, ~allowed))
        known = np.isfinite(self.appearance) | ~np.isnan(self.floor_m)
        return tuple(self._candidate(row, obstacles) for row in order[known[order]][:count].tolist())

    def _candidate(self, row: int, obstacles: Mapping[Obstacle, BoolArray]) -> Candidate:
        return Candidate(
            global_id=int(self.global_id[row]),
            cosine_distance=finite(self.appearance[row]),
            floor_distance_m=finite(self.floor_m[row]),
            cost=finite(self.cost[row]),
            impossible=next((obstacle for obstacle, free in obstacles.items() if not free[row]), None),
        )


def finite(value: float) -> float | None:
    """Return a number, or None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None
