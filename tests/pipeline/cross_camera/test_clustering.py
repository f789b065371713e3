"""Average linkage in which some pairs must never meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cross_camera.clustering import AverageCosts, constrained_linkage, split_at_absences

NAN, INF = np.nan, np.inf


def _square(entries: dict[tuple[int, int], float], count: int, other: float) -> np.ndarray:
    cost = np.full((count, count), other)
    for (a, b), value in entries.items():
        cost[a, b] = cost[b, a] = value
    return cost


@pytest.mark.parametrize(
    ("cost", "forbidden", "labels"),
    [
        pytest.param(np.zeros((0, 0)), [], [], id="nobody"),
        pytest.param(np.zeros((1, 1)), [], [0], id="one"),
        pytest.param(_square({(0, 1): 0.2}, 3, 2.0), [], [0, 0, 2], id="two alike"),
        pytest.param(_square({(0, 1): 1.0}, 2, 2.0), [], [0, 0], id="at the limit"),
        pytest.param(_square({(0, 1): 0.2}, 2, 2.0), [(0, 1)], [0, 1], id="alike but forbidden"),
        pytest.param(
            _square({(0, 1): 0.2, (1, 2): 0.4, (0, 2): 1.5}, 3, 2.0),
            [],
            [0, 0, 0],
            id="0 and 2 come together by 1: (0.4 + 1.5) / 2 = 0.95",
        ),
        pytest.param(
            _square({(0, 1): 0.2, (1, 2): 0.4, (0, 2): 1.7}, 3, 2.0),
            [],
            [0, 0, 2],
            id="not at (0.4 + 1.7) / 2 = 1.05",
        ),
        pytest.param(
            _square({(0, 1): 0.2, (1, 2): 0.4}, 3, NAN),
            [],
            [0, 0, 0],
            id="an unknown pair does not count in the mean",
        ),
        pytest.param(
            _square({(0, 1): 0.2, (1, 2): 0.4}, 3, NAN),
            [(0, 2)],
            [0, 0, 2],
            id="a forbidden pair keeps clusters apart",
        ),
        pytest.param(
            _square({(0, 1): 0.5, (1, 2): 0.4, (0, 2): 0.6}, 3, NAN),
            [(0, 2)],
            [0, 1, 1],
            id="the nearer pair wins",
        ),
    ],
)
def test_clusters(cost: np.ndarray, forbidden: list[tuple[int, int]], labels: list[int]) -> None:
    blocked = np.zeros(cost.shape, np.bool_)
    for a, b in forbidden:
        blocked[a, b] = blocked[b, a] = True
    assert constrained_linkage(AverageCosts(cost), blocked, 1.0).tolist() == labels


@pytest.mark.parametrize(
    ("cluster", "spans_s", "labels"),
    [
        pytest.param([0, 0], [(0, 5), (15, 20)], [0, 0], id="just soon enough"),
        pytest.param([0, 0], [(0, 5), (15.1, 20)], [0, 1], id="too late"),
        pytest.param([0, 0], [(15.1, 20), (0, 5)], [0, 1], id="too early"),
        pytest.param([0, 0, 0], [(0, 5), (30, 35), (12, 22)], [0, 0, 0], id="a third one closes the gap"),
        pytest.param([0, 0, 0], [(0, 40), (3, 4), (49, 50)], [0, 0, 0], id="the longer of two counts"),
        pytest.param([0, 1, 0], [(0, 5), (12, 22), (30, 35)], [0, 1, 2], id="somebody else closes no gap"),
        pytest.param([0, 0, 0, 0], [(50, 52), (0, 5), (53, 54), (20, 25)], [0, 1, 0, 3], id="three stays"),
        pytest.param([], [], [], id="nobody"),
    ],
)
def test_stays(cluster: list[int], spans_s: list[tuple[float, float]], labels: list[int]) -> None:
    """At most 10 s unseen."""
    start_s, end_s = np.array(spans_s, np.float64).reshape(-1, 2).T
    assert split_at_absences(np.array(cluster, np.int64), start_s, end_s, 10.0).tolist() == labels


_Task = tuple[np.ndarray, np.ndarray]


@st.composite
def _clustering_tasks(draw: st.DrawFn) -> _Task:
    """Costs and forbidden pairs."""
    count = draw(st.integers(1, 7))
    pairs = [(a, b) for a in range(count) for b in range(a)]
    values = draw(st.lists(st.floats(0, 2) | st.just(NAN), min_size=len(pairs), max_size=len(pairs)))
    blocks = draw(st.lists(st.integers(0, 4), min_size=len(pairs), max_size=len(pairs)))
    cost, forbidden = np.full((count, count), NAN), np.zeros((count, count), np.bool_)
    for (a, b), value, block in zip(pairs, values, blocks, strict=True):
        cost[a, b] = cost[b, a] = value
        forbidden[a, b] = forbidden[b, a] = block == 0
    return cost, forbidden


@settings(max_examples=200)
@given(_clustering_tasks())
def test_clusters_are_those_of_the_definition(task: _Task) -> None:
    cost, forbidden = task
    labels = constrained_linkage(AverageCosts(cost), forbidden, 1.0)
    clusters = _by_definition(task, 1.0)
    assert sorted(np.flatnonzero(labels == label).tolist() for label in set(labels.tolist())) == sorted(clusters)


def _mean_cost(task: _Task, a: list[int], b: list[int]) -> float:
    cost, forbidden = task
    known = [cost[i, j] for i in a for j in b if not np.isnan(cost[i, j])]
    if not known or forbidden[np.ix_(a, b)].any():
        return INF
    return float(np.mean(known))


def _by_definition(task: _Task, max_cost: float) -> list[list[int]]:
    clusters = [[row] for row in range(len(task[0]))]
    while True:
        pairs = [(_mean_cost(task, a, b), a, b) for a in clusters for b in clusters if a < b]
        best = min(pairs, default=(INF, [], []))
        if not best[0] <= max_cost:
            return clusters
        clusters = [c for c in clusters if c not in best[1:]] + [sorted(best[1] + best[2])]
