"""The table of known identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.core.vectors import unit
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.identities import IdentityTable
from pipeline.cross_camera.identity_limit import Forgotten
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


def _random_units(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return unit(rng.standard_normal(shape).astype(np.float32))


def test_hundreds_of_identities_keep_their_features_while_others_come_and_go() -> None:
    """Embeddings are in blocks of 256 identities; the last rows fill the gaps of those that are forgotten."""
    rng = np.random.default_rng(0)
    table = IdentityTable(1, 2, 0.99, CameraCentres(1))
    own: dict[int, NDArray[np.float32]] = {}
    for global_id in range(1, 1201):
        own[global_id] = _random_units(rng, 16)
        table.add(global_id, 0)
        table.see([global_id], 0, float(global_id))
        table.add_feature(global_id, own[global_id], 0)
        if global_id % 300 == 0:
            table.forget(global_id, 1e9, 250, keep={7})
    for row, global_id in enumerate(table.global_id.tolist()):
        assert table.features[row, 0] == pytest.approx(own[global_id])
        assert table.mean_embedding[row] == pytest.approx(own[global_id])
    assert sorted(table.global_id.tolist()) == [7, *range(952, 1201)]


@pytest.mark.parametrize(
    ("memory_s", "max_count", "unseen", "surplus"),
    [(100, 10, 0, 0), (2, 10, 2, 0), (100, 1, 0, 3), (2, 1, 2, 1), (2, 0, 2, 2)],
)
def test_what_is_forgotten_is_counted_by_its_reason(
    memory_s: float, max_count: int, unseen: int, surplus: int
) -> None:
    """Four identities, seen last at 1, 2, 3 and 4 s, at 5 s."""
    assert _table(1, 2, 3, 4).forget(5.0, memory_s, max_count, set()) == Forgotten(unseen, surplus)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 5)), max_size=30))
def test_the_last_camera_is_the_first_one_with_the_newest_time(seen: list[tuple[int, int, int]]) -> None:
    table = IdentityTable(4, 1, 0.9, CameraCentres(4))
    for global_id in range(3):
        table.add(global_id, 0)
    # A camera never sees somebody earlier than before.
    for global_id, camera, time_s in sorted(seen, key=lambda one: one[2]):
        table.see([global_id], camera, float(time_s))
    assert table.seen_s.tolist() == table.last_seen_s.max(axis=1).tolist()
    assert table.seen_last_by.tolist() == table.last_seen_s.argmax(axis=1).tolist()


def _moved_centres(rng: np.random.Generator) -> CameraCentres:
    centres = CameraCentres(2)
    for _ in range(20):
        centres.learn(0, _random_units(rng, 16))
        centres.learn(1, _random_units(rng, 16))
    centres.refresh()
    return centres


def test_features_are_centred_again_in_slices() -> None:
    """Of ten identities, three at a time: after four calls, all are centred with the newest means."""
    rng = np.random.default_rng(1)
    centres = _moved_centres(rng)
    table = IdentityTable(2, 3, 0.99, centres)
    raw = _random_units(rng, 10, 2, 16)
    for global_id in range(10):
        table.add(global_id, 0)
        for camera in range(2):
            table.add_feature(global_id, raw[global_id, camera], camera)
    assert table.mean_embedding.shape == (10, 16)
    for _ in range(30):
        centres.learn(0, one_hot(0, dim=16)[0])
    assert centres.refresh()
    before = table.stamp
    table.centre(3)
    assert np.count_nonzero(table.changed > before) == 3
    for _ in range(3):
        table.centre(3, means_changed=False)
    stamp = table.stamp
    table.centre(3, means_changed=False)
    assert table.stamp == stamp  # nothing is left to do
    for row in range(10):
        expected = np.stack([centres.centred(raw[row, camera], camera) for camera in range(2)])
        assert table.features[row, :2] == pytest.approx(expected, abs=1e-6)
        assert table.mean_embedding[row] == pytest.approx(unit(expected.mean(axis=0)), abs=1e-6)


@pytest.mark.parametrize("capacity", [3, 4, 6])
def test_a_restored_table_is_that_of_adding_every_feature(capacity: int) -> None:
    """Also with less room for features than before, and where two of an identity are nearly the same."""
    rng = np.random.default_rng(2)
    centres = _moved_centres(rng)
    table = IdentityTable(2, 4, 0.95, centres)
    for global_id in range(1, 41):
        table.add(global_id, global_id % 2)
        table.see([global_id], global_id % 2, float(global_id))
        for _ in range(global_id % 6):
            table.add_feature(global_id, _random_units(rng, 16), int(rng.integers(2)))
    gallery = table.gallery(["a", "b"], 41)
    gallery.features[10, 1] = gallery.features[10, 0]
    fast = IdentityTable(3, capacity, 0.95, _moved_centres(np.random.default_rng(2)))
    slow = IdentityTable(3, capacity, 0.95, _moved_centres(np.random.default_rng(2)))
    for one in (fast, slow):
        one._centres.add_camera()
    fast.restore(gallery, [1, 2])
    for row, global_id in enumerate(gallery.global_id.tolist()):
        slow.add(global_id, int(gallery.class_id[row]))
        for place in np.flatnonzero(gallery.has_feature[row]).tolist():
            slow.add_feature(global_id, gallery.features[row, place], int(gallery.feature_camera[row, place]) + 1)
    assert fast.has_feature.tolist() == slow.has_feature.tolist()
    assert fast.features[fast.has_feature] == pytest.approx(slow.features[slow.has_feature], abs=1e-6)
    assert fast.mean_embedding == pytest.approx(slow.mean_embedding, abs=1e-6)
    assert fast.last_seen_s[:, 1:].tolist() == gallery.last_seen_s.tolist()
    assert fast.class_id.tolist() == gallery.class_id.tolist()
