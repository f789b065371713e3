"""Average-linkage clustering in which some pairs must never meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import BoolArray, IntArray


def constrained_average_linkage(
    cost: NDArray[np.float64],
    forbidden: BoolArray,
    max_cost: float,
    *,
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    max_gap_s: float,
) -> IntArray:
    """Merge the two clusters of least mean cost again and again, until that is above `max_cost`.

    Two clusters that hold a forbidden pair never merge, nor do two of which one begins later than `max_gap_s` after
    the end of the other; a third may close the gap. Ties go to the first pair in row order.

    Args:
        cost: (N, N) symmetric; NaN where nothing is known about a pair, which then does not count in the mean.
        forbidden: (N, N) symmetric.
        start_s, end_s: (N,) when each was seen first and last.

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
    begin, end = start_s.copy(), end_s.copy()
    apart = np.maximum(begin[:, None] - end[None, :], begin[None, :] - end[:, None]) > max_gap_s
    mean = np.where(blocked | apart | (pairs == 0), np.inf, total / np.maximum(pairs, 1))
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
        # Neither of the two had a longer gap inside, so only the time between clusters can be too long.
        begin[a], end[a] = min(begin[a], begin[b]), max(end[a], end[b])
        far = np.maximum(begin - end[a], begin[a] - end) > max_gap_s
        mean[a] = np.where(blocked[a] | far | (pairs[a] == 0), np.inf, total[a] / np.maximum(pairs[a], 1))
        mean[:, a] = mean[a]
    return labels
