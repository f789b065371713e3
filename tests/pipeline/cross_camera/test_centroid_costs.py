"""Clusters compared by what they look like on the whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.cross_camera.centroid_costs import CentroidCosts
from pipeline.cross_camera.clustering import constrained_linkage

NAN, INF = np.nan, np.inf
# 0 and 1 look alike from one side, 1 and 2 from another.
LOOKS = np.array([[1.0, 0.0], [0.8, 0.6], [0.28, 0.96]])


def evidence(
    look: NDArray[np.float64],
    *,
    floor_m: NDArray[np.float64] | None = None,
    direct: NDArray[np.bool_] | None = None,
    limit: float = 0.4,
) -> CentroidCosts:
    count = len(look)
    return CentroidCosts(
        look,
        np.ones(count),
        np.full(count, limit),
        np.full((count, count), NAN) if floor_m is None else floor_m,
        np.ones((count, count), np.bool_) if direct is None else direct,
        max_floor_distance_m=2.0,
        floor_weight=0.5,
    )


def test_costs_are_distances_in_units_of_the_limit() -> None:
    """1 - .8 and 1 - .28 of .4; nothing is known of a cluster and itself."""
    assert evidence(LOOKS).costs(0) == pytest.approx([INF, 0.5, 1.8])


def test_a_cluster_looks_like_the_mean_of_its_members() -> None:
    """0 and 1 together are (1.8, .6) / 1.897: 1 - (1.8 x .28 + .6 x .96) / 1.897 = .4308 of .4."""
    together = evidence(LOOKS)
    together.merge(0, 1)
    assert together.costs(2)[0] == pytest.approx(1.0770, abs=1e-4)
    assert together.costs(0)[2] == pytest.approx(1.0770, abs=1e-4)
    assert constrained_linkage(evidence(LOOKS), np.zeros((3, 3), np.bool_), 1.0).tolist() == [0, 0, 2]
    assert constrained_linkage(evidence(LOOKS, limit=0.44), np.zeros((3, 3), np.bool_), 1.0).tolist() == [0, 0, 0]


def test_a_cluster_of_many_moves_less() -> None:
    heavy = CentroidCosts(
        np.array([[3.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
        np.array([3.0, 1.0, 1.0]),
        np.array([0.2, 0.6, 0.3]),
        np.full((3, 3), NAN),
        np.ones((3, 3), np.bool_),
        max_floor_distance_m=2.0,
        floor_weight=0.5,
    )
    heavy.merge(0, 1)
    # (3, 1) / 3.162 against (1, 0): 1 - .9487; its limit is (3 x .2 + .6) / 4 = .3.
    assert heavy.costs(0)[2] == pytest.approx((1 - 0.9487) / 0.3, abs=1e-3)


def test_floor_distances_of_clusters_are_means_over_their_pairs() -> None:
    floor_m = np.array([[NAN, NAN, 1.0], [NAN, NAN, 2.0], [1.0, 2.0, NAN]])
    look = np.zeros((3, 2))
    together = evidence(look, floor_m=floor_m)
    assert together.costs(2)[:2] == pytest.approx([0.5, 1.0])
    together.merge(0, 1)
    assert together.costs(0)[2] == pytest.approx(0.75)


def test_clusters_without_a_pair_that_says_something_are_not_compared() -> None:
    direct = np.array([[True, True, False], [True, True, True], [False, True, True]])
    together = evidence(np.ones((3, 2)), direct=direct)
    assert together.costs(0)[2] == INF
    together.merge(0, 1)
    assert together.costs(0)[2] == pytest.approx(0.0)


def test_members_beside_the_clusters_that_were_found() -> None:
    """Each with the others of its own cluster, and with the whole of the other one."""
    look = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    between = evidence(look).with_clusters(np.array([0, 0, 2]))
    assert between[:, 1].tolist() == [INF, INF, INF]
    assert between[0, 0] == between[1, 0] == pytest.approx(0.5)
    assert between[2, 0] == pytest.approx((1 - 0.6 / np.hypot(1.8, 0.6)) / 0.4)
    assert between[0, 2] == pytest.approx(2.5)
    assert between[2, 2] == INF  # alone
