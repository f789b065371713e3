"""The parts that linking is made of: distances, feature bank, floor path, identity table, transit times, clustering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.config import TransitWindow
from pipeline.cross_camera.clustering import constrained_average_linkage
from pipeline.cross_camera.distances import appearance_distance, appearance_distances, combined_cost, posterior
from pipeline.cross_camera.feature_bank import FeatureBank
from pipeline.cross_camera.floor_path import FloorPath, slot_of
from pipeline.cross_camera.gallery_distances import GalleryDistances
from pipeline.cross_camera.identities import IdentityTable
from pipeline.cross_camera.track_record import TrackRecord
from pipeline.cross_camera.transit import TransitTimes
from tests.factories import at_distance, one_hot

NAN, INF = np.nan, np.inf

# -- distances -------------------------------------------------------------------------------------------------


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


def test_kept_distances_follow_the_table_and_the_track() -> None:
    """Whatever changes in between: they are those of a fresh comparison."""
    rng = np.random.default_rng(1)

    def unit() -> NDArray[np.float32]:
        vector = rng.normal(size=8)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    table = IdentityTable(2, 3, 0.999)
    distances = GalleryDistances(table)
    records = [TrackRecord("a", i, 0, 0.0, 0.0, bank=FeatureBank(4, 0.999), floor=FloorPath(4)) for i in (1, 2, 3)]
    for step in range(60):
        action = step % 6
        if action in (0, 3):
            table.add(step, 0)
            table.see([step], 0, float(step))
        elif action in (1, 4):
            table.add_feature(int(rng.choice(table.global_id)), unit())
        elif action == 2:
            records[step % 3].bank.add(unit())
        elif step % 12 == 5:
            table.forget(float(step), 20.0, 100, set())
        if step % 2:
            distances.prepare(records[:2])
        for record in records:
            fresh = appearance_distance(record.bank.embeddings, table.features, table.has_feature)
            assert distances.of(record) == pytest.approx(fresh, abs=1e-6)


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


# -- feature bank ----------------------------------------------------------------------------------------------


def test_a_bank_refuses_what_it_nearly_has() -> None:
    bank = FeatureBank(4, 0.95)
    assert len(bank.embeddings) == 0
    assert bank.add(one_hot(0)[0])
    assert not bank.add(at_distance(0.04))
    assert bank.add(at_distance(0.06))
    assert len(bank) == 2
    assert bank.embeddings.dtype == np.float32


def test_a_full_bank_gives_up_the_older_of_its_most_similar_pair() -> None:
    bank = FeatureBank(3, 0.99)
    for embedding in (one_hot(2)[0], one_hot(0)[0], at_distance(0.1), one_hot(3)[0]):
        assert bank.add(embedding)
    # one_hot(0) and the one at distance 0.1 were the most similar; one_hot(0) was older.
    assert bank.embeddings == pytest.approx(np.stack([one_hot(2)[0], at_distance(0.1), one_hot(3)[0]]))


@given(st.lists(st.integers(0, 200), max_size=40))
def test_a_bank_stays_bounded_and_diverse(angles: list[int]) -> None:
    bank = FeatureBank(4, 0.95)
    for angle in angles:
        bank.add(np.array([np.cos(angle / 50), np.sin(angle / 50)], np.float32))
    assert len(bank) <= 4
    similarity = bank.embeddings @ bank.embeddings.T if len(bank) else np.zeros((0, 0))
    assert (similarity[np.triu_indices(len(bank), 1)] <= 0.95 + 1e-6).all()


def test_a_bank_does_not_keep_the_array_that_a_row_came_from() -> None:
    bank = FeatureBank(4, 0.95)
    rows = one_hot(0, 1)
    bank.add(rows[0])
    rows[0] = 9
    assert bank.embeddings.tolist() == one_hot(0).tolist()


# -- floor path ------------------------------------------------------------------------------------------------


def test_a_path_averages_the_positions_of_a_slot() -> None:
    path = FloorPath(10)
    for time_s, x in ((0.0, 1.0), (0.1, 3.0), (0.25, 10.0), (1.0, 20.0)):
        path.add(time_s, (x, -x))
    assert path.slots.tolist() == [0, 1, 4]
    assert path.xy_m.tolist() == [[2, -2], [10, -10], [20, -20]]


def test_slots_before_second_zero() -> None:
    assert [slot_of(time_s) for time_s in (-0.3, -0.1, 0.0, 0.26)] == [-2, -1, 0, 1]


def test_an_empty_path() -> None:
    path = FloorPath(10)
    assert path.slots.shape == (0,)
    assert path.xy_m.shape == (0, 2)


@settings(max_examples=50)
@given(
    st.integers(0, 8),
    st.integers(0, 8),
    st.sampled_from([0.04, 0.25, 0.5, 1.0]),
    st.integers(130, 800),
)
def test_long_paths_keep_slots_in_common_whenever_they_began(
    first: int, second: int, period_s: float, count: int
) -> None:
    paths = []
    for start in (first, second):
        path = FloorPath(64)
        for index in range(start, count):
            path.add(index * period_s, (index * period_s, 0.0))
        paths.append(path)
        assert len(path) <= 64
        assert path.slots.tolist() == sorted(set(path.slots.tolist()))
        # It spans the whole time still, up to one gap of the thinned part.
        slots_in_all = slot_of((count - 1) * period_s) - slot_of(start * period_s)
        assert path.slots[-1] - path.slots[0] >= 0.9 * slots_in_all
    shared = set(paths[0].slots.tolist()) & set(paths[1].slots.tolist())
    assert len(shared) >= 0.6 * min(len(path) for path in paths)


# -- identity table --------------------------------------------------------------------------------------------


def _table(*ids: int, features: int = 2) -> IdentityTable:
    table = IdentityTable(2, features, 0.95)
    for global_id in ids:
        table.add(global_id, 0)
        table.see([global_id], 0, float(global_id))
    return table


def test_a_full_identity_replaces_the_most_similar_feature() -> None:
    table = _table(7)
    for embedding in (one_hot(0)[0], one_hot(1)[0], at_distance(0.3)):
        table.add_feature(7, embedding)
    # cos 0.7 to one_hot(0), 0.71 to one_hot(1), which therefore went.
    assert table.features[0] == pytest.approx(np.stack([one_hot(0)[0], at_distance(0.3)]))
    table.add_feature(7, at_distance(0.301))
    assert table.features[0, 1] == pytest.approx(at_distance(0.3))


def test_adding_hundreds_of_identities_keeps_their_features_apart() -> None:
    table = IdentityTable(1, 2, 0.95)
    for global_id in range(1, 201):
        table.add(global_id, 0)
        table.see([global_id], 0, global_id)
        table.add_feature(global_id, one_hot(global_id % 8)[0])
    assert table.features.shape == (200, 2, 8)
    assert table.has_feature.sum(axis=1).tolist() == [1] * 200
    assert table.features[:, 0].argmax(axis=1).tolist() == [global_id % 8 for global_id in range(1, 201)]
    table.forget(200, 50, 1000, keep={3})
    assert table.global_id.tolist() == [3, *range(150, 201)]
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
    assert table.global_id.tolist() == left
    assert [global_id for global_id in (1, 2, 3, 4) if global_id in table] == left
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


# -- transit times ---------------------------------------------------------------------------------------------


def test_transit_times() -> None:
    windows = [
        TransitWindow(from_camera="a", to_camera="b", min_s=5, max_s=60),
        TransitWindow(from_camera="b", to_camera="c", min_s=-2, max_s=10, one_way=True),
    ]
    transit = TransitTimes(["a", "b", "c"], windows)
    assert transit.min_s.tolist() == [[-INF, 5, -INF], [5, -INF, -2], [-INF, -INF, -INF]]
    assert transit.max_s.tolist() == [[INF, 60, INF], [60, INF, 10], [INF, INF, INF]]


# -- clustering ------------------------------------------------------------------------------------------------


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
    at_once = np.zeros(len(cost))
    found = constrained_average_linkage(cost, blocked, 1.0, start_s=at_once, end_s=at_once, max_gap_s=1.0)
    assert found.tolist() == labels


@pytest.mark.parametrize(
    ("spans_s", "labels"),
    [
        pytest.param([(0, 5), (15, 20)], [0, 0], id="just soon enough"),
        pytest.param([(0, 5), (15.1, 20)], [0, 1], id="too late"),
        pytest.param([(15.1, 20), (0, 5)], [0, 1], id="too early"),
        pytest.param([(0, 5), (30, 35), (12, 22)], [0, 0, 0], id="a third one closes the gap"),
        pytest.param([(0, 40), (3, 4), (49, 50)], [0, 0, 0], id="the longer of two counts"),
    ],
)
def test_clusters_have_no_long_gap(spans_s: list[tuple[float, float]], labels: list[int]) -> None:
    """All alike, at most 10 s unseen."""
    count = len(spans_s)
    start_s, end_s = np.array(spans_s, np.float64).T
    found = constrained_average_linkage(
        np.full((count, count), 0.5),
        np.zeros((count, count), np.bool_),
        1.0,
        start_s=start_s,
        end_s=end_s,
        max_gap_s=10.0,
    )
    assert found.tolist() == labels


_Task = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_GAP_S = 10


@st.composite
def _clustering_tasks(draw: st.DrawFn) -> _Task:
    """Costs, forbidden pairs, starts and ends."""
    count = draw(st.integers(1, 7))
    pairs = [(a, b) for a in range(count) for b in range(a)]
    values = draw(st.lists(st.floats(0, 2) | st.just(NAN), min_size=len(pairs), max_size=len(pairs)))
    blocks = draw(st.lists(st.integers(0, 4), min_size=len(pairs), max_size=len(pairs)))
    cost, forbidden = np.full((count, count), NAN), np.zeros((count, count), np.bool_)
    for (a, b), value, block in zip(pairs, values, blocks, strict=True):
        cost[a, b] = cost[b, a] = value
        forbidden[a, b] = forbidden[b, a] = block == 0
    start_s = np.array(draw(st.lists(st.integers(0, 60), min_size=count, max_size=count)), np.float64)
    length_s = np.array(draw(st.lists(st.integers(0, 20), min_size=count, max_size=count)), np.float64)
    return cost, forbidden, start_s, start_s + length_s


@settings(max_examples=200)
@given(_clustering_tasks())
def test_clusters_are_those_of_the_definition(task: _Task) -> None:
    cost, forbidden, start_s, end_s = task
    labels = constrained_average_linkage(
        cost.copy(), forbidden.copy(), 1.0, start_s=start_s, end_s=end_s, max_gap_s=_GAP_S
    )
    clusters = _by_definition(task, 1.0)
    assert sorted(np.flatnonzero(labels == label).tolist() for label in set(labels.tolist())) == sorted(clusters)


def _mean_cost(task: _Task, a: list[int], b: list[int]) -> float:
    cost, forbidden, start_s, end_s = task
    known = [cost[i, j] for i in a for j in b if not np.isnan(cost[i, j])]
    if not known or forbidden[np.ix_(a, b)].any():
        return INF
    # In whole seconds: unseen for more than the limit means a run of seconds that nobody covers.
    seen = {second for row in a + b for second in range(int(start_s[row]), int(end_s[row]) + 1)}
    if max(np.diff(sorted(seen)), default=0) > _GAP_S:
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
