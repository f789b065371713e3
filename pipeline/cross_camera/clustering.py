"""Average-linkage clustering in which some pairs must never meet, and the stays of each cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import BoolArray, IntArray


def constrained_average_linkage(cost: NDArray[np.float64], forbidden: BoolArray, max_cost: float) -> IntArray:
    """Merge the two clusters of least mean cost again and again, until that is above `max_cost`.

    Two clusters that hold a forbidden pair never merge. Ties go to the first pair in row order.

    Args:
        cost: (N, N) symmetric; NaN where nothing is known about a pair, which then does not count in the mean.
        forbidden: (N, N) symmetric.

    Returns:
        (N,) cluster labels, each the lowest member's index.
    """
    count = len(cost)
    known = ~np.isnan(cost)
    np.fill_diagonal(known, False)
    total = np.where(known, cost, 0.0)
    pairs = known.astype(np.float64)
    blocked = forbidden.copy()
    np.fill_diagonal(blocked, True)
    mean = np.where(blocked | (pairs == 0), np.inf, total / np.maximum(pairs, 1))
    labels = np.arange(count)
    while count:
        a, b = sorted(divmod(int(mean.argmin()), count))
        if not mean[a, b] <= max_cost:
            break
        labels[labels == b] = a
        for matrix in (total, pairs):
            matrix[a] += matrix[b]
            matrix[:, a] = matrix[a]
        blocked[a] |= blocked[b]
        blocked[:, a] = blocked[a]
        blocked[a, a] = True
        blocked[b], blocked[:, b] = True, True
        mean[b], mean[:, b] = np.inf, np.inf
        mean[a] = np.where(blocked[a] | (pairs[a] == 0), np.inf, total[a] / np.maximum(pairs[a], 1))
        mean[:, a] = mean[a]
    return labels


def split_at_absences(
    labels: IntArray, start_s: NDArray[np.float64], end_s: NDArray[np.float64], max_absence_s: float
) -> IntArray:
    """A label of its own for each stay of a cluster: what comes more than `max_absence_s` after all before it has ended
    is another stay.

    Args:
        labels: (N,) of `constrained_average_linkage`.
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
