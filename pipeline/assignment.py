"""The Hungarian method with forbidden pairs, used inside a camera and between cameras."""

from __future__ import annotations

from typing import Any

import lap
import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.floating[Any]], max_cost: float) -> NDArray[np.int64]:
    """Match rows to columns one to one, so that the total cost is least and no pair costs more than `max_cost`.

    Leaving a row and a column unmatched costs `max_cost`: a pair is taken exactly when it is worth it.

    Args:
        cost: (N, M); +inf marks a forbidden pair.
        max_cost: finite, in the unit of `cost`.

    Returns:
        (K, 2) pairs (row, column), rows ascending.

    Raises:
        ValueError: if a cost is NaN or -inf, which the solver would take silently.
    """
    cost = np.asarray(cost, np.float64)
    if not (cost > -np.inf).all():
        raise ValueError("assignment costs must be numbers or +inf")
    if cost.size == 0:
        return np.zeros((0, 2), np.int64)
    # lap.lapjv can return a forbidden pair unless cost_limit is set, and cannot take infinities: forbidden
    # pairs get a finite cost beyond the limit, and what comes back is checked once more.
    beyond = 2.0 * abs(max_cost) + 1.0
    finite = np.where(cost <= max_cost, cost, beyond)
    _, column_of_row, _ = lap.lapjv(finite, extend_cost=True, cost_limit=max_cost)
    rows = np.flatnonzero(column_of_row >= 0)
    pairs = np.stack([rows, column_of_row[rows]], axis=1).astype(np.int64)
    return pairs[cost[pairs[:, 0], pairs[:, 1]] <= max_cost]
