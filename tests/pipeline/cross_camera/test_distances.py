"""How unlike two people look and how far apart they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.cross_camera.distances import appearance_distance, appearance_distances, combined_cost, posterior
from tests.factories import at_distance, one_hot

NAN, INF = np.nan, np.inf


def _gallery(*people: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Each person's embeddings by their cosine distance to one_hot(0), as (I, F, D) and (I, F)."""
    width = max(map(len, people))
    features = np.zeros((len(people), width, 8), np.float32)
    valid = np.zeros((len(people), width), np.bool_)
    for row, distances in enumerate(people):
        for place, distance in enumerate(distances):
            features[row, place], valid[row, place] = at_distance(distance), True
    return features, valid


@pytest.mark.parametrize(
    ("person", "distance"),
    [
        pytest.param([0.2], 0.2, id="one pair"),
        pytest.param([0.1, 0.3], 0.2, id="the mean of two pairs"),
        pytest.param([0.1, 0.2, 0.6, 0.9, 1.5], 0.3, id="the mean of the best three: (0.1 + 0.2 + 0.6) / 3"),
        pytest.param([0.0, 0.0, 0.0, 2.0], 0.0, id="the same person from behind counts not"),
        pytest.param([], INF, id="no embedding"),
    ],
)
def test_appearance_distance_is_the_mean_of_the_best_three_pairs(person: list[float], distance: float) -> None:
    features, valid = _gallery(person, [2.0])
    assert appearance_distance(one_hot(0), features, valid) == pytest.approx([distance, 2.0], abs=1e-6)


def test_appearance_distance_takes_pairs_from_both_sides() -> None:
    features, valid = _gallery([0.1, 0.5])
    # The query twice: the pairs 0.1, 0.1, 0.5, 0.5, of which the best three have the mean 0.7 / 3.
    assert appearance_distance(one_hot(0, 0), features, valid) == pytest.approx([0.7 / 3], abs=1e-6)


def test_appearance_distance_without_anything_to_compare() -> None:
    features, valid = _gallery([0.1], [0.2])
    assert appearance_distance(np.zeros((0, 0), np.float32), features, valid).tolist() == [INF, INF]
    assert appearance_distance(one_hot(0), features[:0], valid[:0]).shape == (0,)
    assert appearance_distance(
        one_hot(0), np.zeros((2, 4, 0), np.float32), np.zeros((2, 4), np.bool_)
    ).tolist() == [
        INF,
        INF,
    ]


def test_several_people_in_one_pass_have_the_distances_they_have_alone() -> None:
    """Also where somebody has no embedding, and for few and for many embeddings in all."""
    rng = np.random.default_rng(0)

    def unit(*shape: int) -> NDArray[np.float32]:
        vectors = rng.normal(size=shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    gallery, valid = unit(7, 4, 8), rng.random((7, 4)) < 0.7
    for lengths in ((1, 0, 2), (0,), (5, 3, 0, 9)):
        queries = [unit(length, 8) if length else np.zeros((0, 0), np.float32) for length in lengths]
        together = appearance_distances(queries, gallery, valid)
        for query, distance in zip(queries, together, strict=True):
            assert distance == pytest.approx(appearance_distance(query, gallery, valid), abs=1e-6)


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
