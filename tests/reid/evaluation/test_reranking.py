"""k-reciprocal re-ranking against the paper's equations, written down word by word."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from reid.distances import squared_euclidean_distance
from reid.evaluation.reranking import KReciprocalDistance
from reid.evaluation.retrieval import LabelledFeatures, evaluate_retrieval


def literal_distances(
    crops: NDArray[np.float64], queries: list[int], gallery: list[int], k1: int, k2: int, weight: float
) -> NDArray[np.float64]:
    """Equations 1 to 12 of the paper with Python sets, one pair of crops at a time."""
    everyone = range(len(crops))
    unit = [crop / math.sqrt(float(crop @ crop)) for crop in crops]
    euclidean = [[float((unit[p] - unit[g]) @ (unit[p] - unit[g])) for g in everyone] for p in everyone]
    d = [[euclidean[p][g] / max(euclidean[p]) for g in everyone] for p in everyone]

    def nearest(p: int, count: int) -> set[int]:
        """N(p, k), eq. 1, with p itself at its head."""
        return set(sorted(everyone, key=lambda g: (g != p, d[p][g]))[:count])

    def reciprocal(p: int, k: int) -> set[int]:
        """R(p, k), eq. 3."""
        return {g for g in nearest(p, k + 1) if p in nearest(g, k + 1)}

    half = int(np.around(k1 / 2))
    encoding = []
    for p in everyone:
        own = reciprocal(p, k1)
        expanded = set(own)
        for q in own:  # eq. 5
            if len(own & reciprocal(q, half)) > 2 / 3 * len(reciprocal(q, half)) + 1e-9:
                expanded |= reciprocal(q, half)
        v = np.array([math.exp(-d[p][g]) if g in expanded else 0.0 for g in everyone])  # eq. 7
        encoding.append(v / v.sum())
    averaged = [np.mean([encoding[g] for g in nearest(p, k2)], axis=0) for p in everyone]  # eq. 11
    return np.array(
        [
            [
                (1 - weight)
                * (1 - np.minimum(averaged[p], averaged[g]).sum() / np.maximum(averaged[p], averaged[g]).sum())
                + weight * d[p][g]  # eq. 10 and 12
                for g in gallery
            ]
            for p in queries
        ]
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.integers(2, 16),
    st.integers(1, 9),
    st.integers(1, 7),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_equals_the_equations(seed: int, queries: int, gallery: int, k1: int, k2: int, weight: float) -> None:
    crops = np.random.default_rng(seed).standard_normal((queries + gallery, 4))
    (block,) = KReciprocalDistance(k1, k2, weight)(crops[:queries], crops[queries:])
    rows, columns = list(range(queries)), list(range(queries, queries + gallery))
    np.testing.assert_allclose(block, literal_distances(crops, rows, columns, k1, k2, weight), atol=2e-5)
    assert block.dtype == np.float32


def test_crops_that_are_query_and_gallery_at_once_count_once() -> None:
    crops = np.random.default_rng(1).standard_normal((14, 4))
    everyone = list(range(14))
    (block,) = KReciprocalDistance(5, 3)(crops, crops)
    np.testing.assert_allclose(block, literal_distances(crops, everyone, everyone, 5, 3, 0.3), atol=2e-5)


def test_weight_one_ranks_as_the_original_distance() -> None:
    rng = np.random.default_rng(2)
    query, gallery = rng.standard_normal((5, 8)), rng.standard_normal((30, 8))
    (original,) = squared_euclidean_distance(query, gallery)
    (block,) = KReciprocalDistance(original_weight=1.0)(query, gallery)
    np.testing.assert_array_equal(np.argsort(block, axis=1), np.argsort(original, axis=1))


def test_two_crops_in_the_same_group_of_mutual_neighbours_come_nearer() -> None:
    """A gallery crop in the query's crowd overtakes one that is a little nearer but belongs to another crowd."""
    degrees = {"query": 0, "own crowd": (-9, -8, -7, -6, -5), "other": 8, "other crowd": (12, 13, 14, 15, 16)}
    angles = np.radians([0, *degrees["own crowd"], 8, *degrees["other crowd"]])  # type: ignore[misc]
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    (before,) = squared_euclidean_distance(features[:1], features[1:])
    (after,) = KReciprocalDistance(k1=5, k2=1, original_weight=0.0)(features[:1], features[1:])
    far_in_own_crowd, other = 0, 5
    assert before[0, other] < before[0, far_in_own_crowd]
    assert after[0, far_in_own_crowd] < after[0, other]


def test_raises_map_where_identities_are_clouds() -> None:
    rng = np.random.default_rng(3)
    ids = np.repeat(np.arange(40), 8)
    features = rng.standard_normal((40, 16))[ids] + 0.9 * rng.standard_normal((320, 16))
    crops = LabelledFeatures(features, ids, np.tile(np.array(["c1", "c2"]), 160))
    plain = evaluate_retrieval(crops, crops)
    reranked = evaluate_retrieval(crops, crops, KReciprocalDistance(k1=8, k2=3))
    assert reranked.mean_average_precision > plain.mean_average_precision + 0.05


def test_memory_does_not_grow_with_the_square_of_the_gallery() -> None:
    rng = np.random.default_rng(4)
    query, gallery = rng.standard_normal((2, 8), np.float32), rng.standard_normal((6000, 8), np.float32)
    tracemalloc.start()
    try:
        shapes = [block.shape for block in KReciprocalDistance(k1=6, k2=2)(query, gallery)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shapes == [(2, 6000)]
    assert peak < 6002 * 6002 * 4  # bytes of one float32 matrix of all distances


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"k1": 0}, "k1 and k2 must be at least 1, but are 0 and 6"),
        ({"k2": 0}, "k1 and k2 must be at least 1, but are 20 and 0"),
        ({"original_weight": 1.5}, r"lambda must be in \[0, 1\], but is 1\.5"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        KReciprocalDistance(**options)  # type: ignore[arg-type]
