"""How unlike two people look and how far apart they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cross_camera.distances import combined_cost, embedding_distances, mean_embedding, posterior

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("views", "look"),
    [
        pytest.param([], [], id="nothing known"),
        pytest.param([(1, 0)], [1, 0], id="one view"),
        pytest.param([(1, 0), (0, 1)], [0.7071, 0.7071], id="from two sides"),
        pytest.param([(1, 0), (1, 0), (0, 1)], [0.8944, 0.4472], id="(2, 1) / sqrt(5)"),
        pytest.param([(1, 0), (-1, 0)], [0, 0], id="opposite views say nothing"),
    ],
)
def test_the_mean_embedding_of_several_views(views: list[tuple[float, float]], look: list[float]) -> None:
    assert mean_embedding(np.array(views, np.float32).reshape(-1, 2)).tolist() == pytest.approx(look, abs=1e-4)


def test_looks_are_compared_by_their_angle() -> None:
    looks = np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    others = np.array([[2.0, 0.0], [0.6, 0.8], [-1.0, 0.0], [0.0, 0.0]])
    expected = np.array([[0.0, 0.4, 2.0, INF], [1.0, 0.2, 1.0, INF], [INF, INF, INF, INF]])
    assert embedding_distances(looks, others) == pytest.approx(expected)


@pytest.mark.parametrize(("queries", "others", "dim"), [(0, 2, 8), (2, 0, 8), (2, 3, 0)])
def test_without_anything_to_compare_nothing_is_known(queries: int, others: int, dim: int) -> None:
    distances = embedding_distances(np.zeros((queries, dim)), np.zeros((others, dim)))
    assert distances.tolist() == [[INF] * others] * queries


@pytest.mark.parametrize(
    ("look", "floor_m", "cost"),
    [
        pytest.param(0.2, NAN, 0.5, id="appearance alone: 0.2 of 0.4"),
        pytest.param(INF, 0.5, 0.25, id="floor alone: 0.5 of 2"),
        pytest.param(0.2, 0.5, 0.3 * 0.5 + 0.7 * 0.25, id="both, the floor with weight 0.7"),
        pytest.param(0.6, 0.0, 0.45, id="poor looks at the same place: 0.3 x 1.5"),
        pytest.param(0.0, 2.1, INF, id="the same looks too far apart"),
        pytest.param(0.0, 2.0, 0.7, id="just at the limit"),
        pytest.param(INF, NAN, INF, id="nothing is known"),
    ],
)
def test_combined_cost(look: float, floor_m: float, cost: float) -> None:
    found = combined_cost(
        np.array([look]),
        np.array([floor_m]),
        max_cosine_distance=0.4,
        max_floor_distance_m=2.0,
        floor_weight=0.7,
    )
    assert found == pytest.approx([cost])


def test_posterior_by_hand() -> None:
    assert posterior(1.0, np.array([])) == 1.0
    assert posterior(1.0, np.array([1.0])) == 0.5
    assert posterior(0.5, np.array([1.0])) == pytest.approx(1 / (1 + np.exp(-3)))
    assert posterior(0.2, np.array([0.2, 0.2, INF])) == pytest.approx(1 / 3)


@given(st.floats(0, 5), st.floats(0, 5), st.lists(st.floats(0, 5) | st.just(INF), max_size=5))
def test_posterior_is_a_share_and_falls_with_the_cost(first: float, second: float, rivals: list[float]) -> None:
    cheap, dear = sorted((first, second))
    sure, less_sure = posterior(cheap, np.array(rivals)), posterior(dear, np.array(rivals))
    assert 0 <= less_sure <= sure <= 1
    assert posterior(cheap, np.array([*rivals, 0.5])) < sure
