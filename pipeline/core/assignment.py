"""The Hungarian method with forbidden pairs, used inside a camera and between cameras."""

from __future__ import annotations

from typing import Any

import lap
import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.floating[Any]], max_cost: float) -> NDArray[np.int64]:
    """Match rows to columns one to one, with the least total cost and no pair that costs more than `max_cost`.

    Leaving a row and a column unmatched costs `max_cost`, so a pair is matched only if that is cheaper.

    Args:
        cost: (N, M); +inf marks a forbidden pair.
        max_cost: finite, in the unit of `cost`.

    Returns:
        (K, 2) pairs (row, column), rows ascending.

    Raises:
        ValueError: a cost is NaN or -inf, which the solver would accept silently.
    """
    cost = np.asarray(cost, np.float64)
    if not (cost > -np.inf).all():
        raise ValueError("assignment costs must be numbers or +inf")
    if cost.size == 0:
        return np.zeros((0, 2), np.int64)
    admissible = cost <= max_cost
    # Rows and columns without an admissible pair only enlarge the problem; between cameras they are most of it.
    rows, columns = np.flatnonzero(admissible.any(axis=1)), np.flatnonzero(admissible.any(axis=0))
    if not len(rows):
        return np.zeros((0, 2), np.int64)
    if len(rows) < len(cost) or len(columns) < cost.shape[1]:
        cost, admissible = cost[np.ix_(rows, columns)], admissible[np.ix_(rows, columns)]
    # lap.lapjv can return a forbidden pair unless cost_limit is set, and does not accept infinities: forbidden
    # pairs get a finite cost beyond the limit, and the result is checked again.
    beyond = 2.0 * abs(max_cost) + 1.0
    _, column_of_row, _ = lap.lapjv(np.where(admissible, cost, beyond), extend_cost=True, cost_limit=max_cost)
    matched = np.flatnonzero(column_of_row >= 0)
    chosen = column_of_row[matched]
    taken = admissible[matched, chosen]
    return np.stack([rows[matched[taken]], columns[chosen[taken]]], axis=1).astype(np.int64)
