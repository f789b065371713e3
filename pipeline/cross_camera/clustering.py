"""Agglomerative clustering in which some pairs must never meet, and the stays of each cluster."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, IntArray


class Evidence(Protocol):
    """What says how likely two clusters are one; N of them, at first with one member each."""

    def costs(self, a: int) -> NDArray[np.float64]:
        """(N,) of joining cluster `a` with each; +inf where nothing is known."""

    def merge(self, a: int, b: int) -> None:
        """The members of cluster `b` go to `a`."""


class AverageCosts:
    """Average linkage: the mean over all pairs of members.

    Args:
        cost: (N, N) symmetric; NaN where nothing is known about a pair, which then does not count in the mean.
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
    """Row and column `b` of a symmetric (N, N) matrix are added to those of `a`."""
    matrix[a] += matrix[b]
    matrix[:, a] = matrix[a]


def constrained_linkage(evidence: Evidence, forbidden: BoolArray, max_cost: float) -> IntArray:
    """Merge the two clusters of least cost again and again, until that is above `max_cost`.

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
    """A label of its own for each stay of a cluster: what comes more than `max_absence_s` after all before it has ended
    is another stay.

    Args:
        labels: (N,) of `constrained_linkage`.
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
