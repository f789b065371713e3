"""The table of known identities."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.identities import IdentityTable
from tests.helpers.factories import at_distance, one_hot

NAN = np.nan


def _table(*ids: int, features: int = 2) -> IdentityTable:
    table = IdentityTable(2, features, 0.95, CameraCentres(2))
    for global_id in ids:
        table.add(global_id, 0)
        table.see([global_id], 0, float(global_id))
    return table


def test_a_full_identity_replaces_the_most_similar_feature() -> None:
    table = _table(7)
    for embedding in (one_hot(0)[0], one_hot(1)[0], at_distance(0.3)):
        table.add_feature(7, embedding, 0)
    # cos 0.7 to one_hot(0), 0.71 to one_hot(1), which therefore went.
    assert table.features[0] == pytest.approx(np.stack([one_hot(0)[0], at_distance(0.3)]))
    table.add_feature(7, at_distance(0.301), 0)
    assert table.features[0, 1] == pytest.approx(at_distance(0.3))


def test_adding_hundreds_of_identities_keeps_their_features_apart() -> None:
    table = IdentityTable(1, 2, 0.95, CameraCentres(1))
    for global_id in range(1, 201):
        table.add(global_id, 0)
        table.see([global_id], 0, global_id)
        table.add_feature(global_id, one_hot(global_id % 8)[0], 0)
    assert table.features.shape == (200, 2, 8)
    assert table.has_feature.sum(axis=1).tolist() == [1] * 200
    assert table.features[:, 0].argmax(axis=1).tolist() == [global_id % 8 for global_id in range(1, 201)]
    table.forget(200, 50, 1000, keep={3})
    assert sorted(table.global_id.tolist()) == [3, *range(150, 201)]
    assert table.features[:, 0].argmax(axis=1).tolist() == (table.global_id % 8).tolist()
    table.add(999, 0)
    assert not table.has_feature[-1].any()


@pytest.mark.parametrize(
    ("memory_s", "max_count", "keep", "left"),
    [
        pytest.param(100, 10, set(), [1, 2, 3, 4], id="all fit"),
        pytest.param(2, 10, set(), [3, 4], id="unseen for more than 2 s at 5 s"),
        pytest.param(2, 10, {1}, [1, 3, 4], id="but 1 is in view"),
        pytest.param(100, 2, set(), [3, 4], id="the longest unseen go first"),
        pytest.param(100, 2, {1, 2}, [1, 2], id="those in view stay"),
        pytest.param(100, 1, {1, 2}, [1, 2], id="also where there are more of them than the limit"),
    ],
)
def test_forgetting(memory_s: float, max_count: int, keep: set[int], left: list[int]) -> None:
    table = _table(1, 2, 3, 4)
    table.forget(5.0, memory_s, max_count, keep)
    assert sorted(table.global_id.tolist()) == left
    assert [global_id for global_id in (1, 2, 3, 4) if global_id in table.global_id] == left
    for global_id in left:
        table.see([global_id], 1, 9.0)
    assert table.last_seen_s[:, 1].tolist() == [9.0] * len(left)


def test_floor_distance_is_the_median_over_shared_slots() -> None:
    table = _table(1, 2, 3)
    for slot, x in enumerate((0.0, 1.0, 2.0, 3.0)):
        table.add_floor(1, slot * 0.25, (x, 0.0))
    table.add_floor(2, 0.0, (0.0, 3.0))
    path_slots, path = np.array([0, 1, 2, 9]), np.array([[0.0, 4.0], [1.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    distance_m, shared = table.floor_distance_m(path_slots, path)
    assert distance_m == pytest.approx([2.0, 1.0, NAN], nan_ok=True)
    assert shared.tolist() == [3, 1, 0]


def test_old_floor_positions_of_a_late_comer_do_not_replace_newer_ones() -> None:
    table = _table(1)
    for slot in range(100, 140):
        table.add_floor(1, slot * 0.25, (1.0, 1.0))
    # Slot 70 has the place of slot 110 among the 40 that are kept.
    table.add_floor(1, 70 * 0.25, (9.0, 9.0))
    distance_m, shared = table.floor_distance_m(np.arange(100, 140), np.ones((40, 2)))
    assert (distance_m.tolist(), shared.tolist()) == ([0.0], [40])
    assert table.last_floor_xy_m.tolist() == [[1.0, 1.0]]
