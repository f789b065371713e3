from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from pipeline.core.assignment import assign

INF = np.inf
costs = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=7),
    elements=st.one_of(st.floats(0, 2), st.just(INF), st.sampled_from([0.0, 0.5, 1.0])),
)


@pytest.mark.parametrize(
    ("cost", "max_cost", "pairs"),
    [
        pytest.param([[0.1, 0.9], [0.9, 0.1]], 1.0, [[0, 0], [1, 1]], id="each its own"),
        pytest.param([[0.1, 0.2], [0.15, 0.9]], 1.0, [[0, 1], [1, 0]], id="0.2 + 0.15 beats 0.1 + 0.9"),
        pytest.param([[0.1, 0.2], [0.15, 0.9]], 0.18, [[0, 0]], id="0.2 is too dear, so the cheapest pair stays"),
        pytest.param([[0.4, INF], [0.36, 0.45]], 0.5, [[0, 0], [1, 1]], id="the forbidden pair is left out"),
        pytest.param([[INF, INF]], 1.0, [], id="all forbidden"),
        pytest.param([[0.5]], 0.5, [[0, 0]], id="a cost of just the limit"),
        pytest.param([[0.51]], 0.5, [], id="a cost above the limit"),
        pytest.param([[0.3, 0.2, 0.1]], 0.5, [[0, 2]], id="one row, three columns"),
        pytest.param([[0.3], [0.2], [0.1]], 0.5, [[2, 0]], id="three rows, one column"),
    ],
)
def test_pairs(cost: list[list[float]], max_cost: float, pairs: list[list[int]]) -> None:
    assert assign(np.array(cost), max_cost).tolist() == pairs


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_assign(shape: tuple[int, int]) -> None:
    pairs = assign(np.zeros(shape), 1.0)
    assert pairs.shape == (0, 2)
    assert pairs.dtype == np.int64


@pytest.mark.parametrize("bad", [np.nan, -INF])
def test_a_cost_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="numbers or \\+inf"):
        assign(np.array([[0.1, bad], [0.2, 0.3]]), 1.0)


@settings(max_examples=300)
@given(costs, st.sampled_from([0.0, 0.3, 1.0, 1.7]))
def test_the_assignment_is_allowed_and_the_best(cost: np.ndarray, max_cost: float) -> None:
    pairs = assign(cost, max_cost)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert pairs[:, 0].tolist() == sorted(pairs[:, 0].tolist())
    chosen = cost[pairs[:, 0], pairs[:, 1]]
    assert (chosen <= max_cost).all()
    # Every row left alone costs max_cost, so what a pair saves is max_cost minus its cost.
    assert (max_cost - chosen).sum() == pytest.approx(_best_saving(cost, max_cost), abs=1e-9)


def _best_saving(cost: np.ndarray, max_cost: float) -> float:
    """By scipy, with a dummy column for every row and a dummy row for every column that cost nothing extra."""
    rows, columns = cost.shape
    saving = np.zeros((rows + columns, rows + columns))
    saving[:rows, :columns] = np.where(cost <= max_cost, max_cost - cost, 0)
    best = linear_sum_assignment(saving, maximize=True)
    return float(saving[best].sum())
