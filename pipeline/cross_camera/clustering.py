"""Agglomerative clustering with forbidden pairs, and splitting of clusters into stays."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, IntArray


class Evidence(Protocol):
    """Gives the cost of merging two of N clusters, which have one member each at first."""

    def costs(self, a: int) -> NDArray[np.float64]:
        """Return the (N,) costs of merging cluster `a` with each cluster; +inf where nothing is known."""

    def merge(self, a: int, b: int) -> None:
        """Move the members of cluster `b` to `a`."""


class AverageCosts:
    """Average linkage: the mean cost over all pairs of members.

    Args:
        cost: (N, N) symmetric; NaN where nothing is known about a pair, which is then left out of the mean.
    """

    def __init__(self, cost: NDArray[np.float64]) -> None:
        known = ~np.isnan(cost)
        np.fill_diagonal(known, False)
        self._total = np.where(known, cost, 0.0)
        self._pairs = known.astype(np.float64)

    def costs(self, a: int) -> NDArray[np.float64]:
        """See `Evidence`."""
        pairs = self._pairs[a]
        return np.asarray(np.where(pairs > 0, self._total[a] / np.maximum(pairs, 1), np.inf))

    def merge(self, a: int, b: int) -> None:
        """See `Evidence`."""
        for matrix in (self._total, self._pairs):
            add_row(matrix, a, b)


def add_row(matrix: NDArray[np.float64], a: int, b: int) -> None:
    """Add row and column `b` of a symmetric (N, N) matrix to those of `a`."""
    matrix[a] += matrix[b]
    matrix[:, a] = matrix[a]


def constrained_linkage(evidence: Evidence, forbidden: BoolArray, max_cost: float) -> IntArray:
    """Merge the two clusters of least cost repeatedly, until the least cost is above `max_cost`.

    Two clusters that hold a forbidden pair never merge. Ties go to the first pair in row order.

    Args:
        forbidden: (N, N) symmetric.

    Returns:
        (N,) cluster labels, each the lowest member's index.
    """
    count = len(forbidden)
    labels = np.arange(count)
    if not count:
        return labels
    blocked = forbidden.copy()
    np.fill_diagonal(blocked, True)
    cost = np.where(blocked, np.inf, np.stack([evidence.costs(a) for a in range(count)]))
    while True:
        a, b = sorted(divmod(int(cost.argmin()), count))
        if not cost[a, b] <= max_cost:
            return labels
        labels[labels == b] = a
        evidence.merge(a, b)
        blocked[a] |= blocked[b]
        blocked[:, a] = blocked[a]
        blocked[a, a] = True
        blocked[b], blocked[:, b] = True, True
        cost[b], cost[:, b] = np.inf, np.inf
        cost[a] = np.where(blocked[a], np.inf, evidence.costs(a))
        cost[:, a] = cost[a]


def split_at_absences(
    labels: IntArray, start_s: NDArray[np.float64], end_s: NDArray[np.float64], max_absence_s: float
) -> IntArray:
    """Give each stay of a cluster its own label. A new stay begins with a member that starts more than `max_absence_s`
    after all earlier members have ended.

    Args:
        labels: (N,) from `constrained_linkage`.
        start_s, end_s: (N,) when each member was seen first and last.

    Returns:
        (N,) labels, each the lowest member's index.
    """
    result = labels.copy()
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(start_s[rows], kind="stable")]
        gap_s = start_s[rows[1:]] - np.maximum.accumulate(end_s[rows])[:-1]
        for stay in np.split(rows, np.flatnonzero(gap_s > max_absence_s) + 1):
            result[stay] = stay.min()
    return result
