"""Mean embeddings of the members and clusters of the second pass, and the floor distances between them."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, IntArray
from pipeline.cross_camera.clustering import add_row
from pipeline.cross_camera.distances import combined_cost, embedding_distances

Array = NDArray[np.float64]


class CentroidCosts:
    """Centroid linkage: clusters are compared by the mean embeddings of their members, and by the mean of the floor
    distances between their members. A mean embedding improves with every member.

    Args:
        embedding_sum: (N, D) sum, for each member, of the mean embeddings (length 1) of its tracklets; 0 without any.
        tracklets: (N,) number of tracklets of each member.
        cosine_limit: (N,) match limit of each member.
        floor_m: (N, N) floor distances at the same times in metres, NaN where unknown.
        direct: (N, N) True for pairs with direct evidence about one another; two clusters without any are not compared.
        max_floor_distance_m, floor_weight: as in `combined_cost`.
    """

    def __init__(
        self,
        embedding_sum: Array,
        tracklets: Array,
        cosine_limit: Array,
        floor_m: Array,
        direct: BoolArray,
        *,
        max_floor_distance_m: float,
        floor_weight: float,
    ) -> None:
        self._sum, self._tracklets, self._limit = embedding_sum.copy(), tracklets.copy(), cosine_limit.copy()
        self._length = np.linalg.norm(self._sum, axis=1)
        placed = ~np.isnan(floor_m)
        np.fill_diagonal(placed, False)
        self._floor_total, self._placed = np.where(placed, floor_m, 0.0), placed.astype(np.float64)
        self._direct = direct.astype(np.float64)
        np.fill_diagonal(self._direct, 0.0)
        self._max_floor_distance_m, self._floor_weight = max_floor_distance_m, floor_weight

    def tightened(self, factor: Array) -> CentroidCosts:
        """Return a copy with the limits multiplied by `factor` (N,)."""
        result = deepcopy(self)
        result._limit *= factor
        return result

    def costs(self, a: int, limit_factor: float = 1.0) -> Array:
        """See `clustering.Evidence`.

        Args:
            limit_factor: applied to the limit of every pair.
        """
        limit = limit_factor * (self._limit[a] + self._limit) / 2
        place = _mean(self._floor_total[a], self._placed[a])
        cost = self._combined(embedding_distances(self._sum[a : a + 1], self._sum, self._length)[0], place, limit)
        return np.asarray(np.where((self._direct[a] > 0) & ~np.isnan(cost), cost, np.inf))

    def merge(self, a: int, b: int) -> None:
        """See `clustering.Evidence`."""
        one, other = self._tracklets[a], self._tracklets[b]
        self._limit[a] = (one * self._limit[a] + other * self._limit[b]) / (one + other)
        self._tracklets[a] += other
        self._sum[a] += self._sum[b]
        self._length[a] = np.linalg.norm(self._sum[a : a + 1], axis=1)[0]
        for matrix in (self._floor_total, self._placed, self._direct):
            add_row(matrix, a, b)

    def with_clusters(self, labels: IntArray) -> Array:
        """Return the (N, N) cost of each member with each cluster, in the column of the cluster's label; +inf where
        nothing is known. For its own cluster, the member itself is left out. Call this before any merging.

        Args:
            labels: (N,), each the index of the cluster's lowest member.
        """
        count = len(labels)
        rows = np.arange(count)
        member_of = np.zeros((count, count))
        member_of[rows, labels] = 1
        embedding_sum, size = member_of.T @ self._sum, member_of.sum(axis=0)
        limit = member_of.T @ self._limit / np.maximum(size, 1)
        distance: Array = np.asarray(embedding_distances(self._sum, embedding_sum), np.float64)
        for row, label in enumerate(labels.tolist()):
            distance[row, label] = embedding_distances(
                self._sum[row][None], (embedding_sum[label] - self._sum[row])[None]
            )[0, 0]
        place = _mean(self._floor_total @ member_of, self._placed @ member_of)
        cost = self._combined(distance, place, (self._limit[:, None] + limit[None, :]) / 2)
        return np.asarray(np.where((self._direct @ member_of > 0) & ~np.isnan(cost), cost, np.inf))

    def _combined(self, distance: Array, place_m: Array, cosine_limit: Array) -> Array:
        return np.asarray(
            combined_cost(
                distance,
                place_m,
                max_cosine_distance=cosine_limit,
                max_floor_distance_m=self._max_floor_distance_m,
                floor_weight=self._floor_weight,
            )
        )


def _mean(total: Array, pairs: Array) -> Array:
    """Return the mean over pairs; NaN without pairs."""
    return np.asarray(np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan))
