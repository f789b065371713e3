"""Thresholds from distances, and distances as tracker and linker measure them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.cross_camera.match_threshold import (
    Distances,
    Views,
    crop_distances,
    equal_error_rate,
    match_threshold,
    match_threshold_of_places,
    track_distances,
)

SHARES = st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("rate", "limit", "false_match", "missed"),
    [
        pytest.param(0.0, np.nextafter(0.4, 0), 0.0, 0.25, id="no impostor inside"),
        pytest.param(0.25, 0.45, 0.25, 0.25, id="one of four"),
        pytest.param(0.5, 0.7, 0.5, 0.0, id="two of four"),
    ],
)
def test_the_threshold_lets_so_many_impostors_in(
    rate: float, limit: float, false_match: float, missed: float
) -> None:
    genuine = np.array([0.1, 0.2, 0.3, 0.6])
    impostor = np.array([0.4, 0.5, 0.9, 1.0])
    found = match_threshold(genuine, impostor, false_match_rate=rate)
    assert found.max_cosine_distance == pytest.approx(limit, abs=1e-5)
    assert (found.false_match_rate, found.false_non_match_rate) == (false_match, missed)
    assert (found.genuine_pairs, found.impostor_pairs) == (4, 4)


@given(genuine=SHARES, impostor=SHARES, rate=st.floats(0, 0.9))
def test_no_more_impostors_than_allowed(genuine: list[float], impostor: list[float], rate: float) -> None:
    found = match_threshold(np.array(genuine), np.array(impostor), false_match_rate=rate)
    assert found.false_match_rate <= rate + 1e-6


@pytest.mark.parametrize(
    ("genuine", "impostor", "rate"),
    [
        pytest.param([0.1, 0.2], [0.8, 0.9], 0.0, id="told apart"),
        pytest.param([0.1, 0.2, 0.3, 0.7], [0.6, 0.8, 0.9, 1.0], 0.25, id="one of four each"),
        pytest.param([0.5, 0.5], [0.5, 0.5], 0.5, id="all alike"),
    ],
)
def test_equal_error_rate(genuine: list[float], impostor: list[float], rate: float) -> None:
    assert equal_error_rate(np.array(genuine), np.array(impostor)) == pytest.approx(rate)


def test_a_threshold_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="0 and 3"):
        match_threshold(np.zeros(0), np.ones(3), false_match_rate=0.01)


def unit(*rows: list[float]) -> np.ndarray:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_tracks_of_two_cameras_are_genuine_pairs() -> None:
    views = [
        Views(1, "a", unit([1, 0, 0])),
        Views(1, "b", unit([1, 1, 0])),
        Views(2, "b", unit([0, 0, 1])),
    ]
    genuine, impostor = track_distances(views, features_per_track=4, max_similarity=0.95)
    assert genuine == pytest.approx([1 - 0.5**0.5])
    assert impostor == pytest.approx([1.0, 1.0])


def test_without_pairs_of_two_cameras_the_halves_of_tracks_are_genuine() -> None:
    """And only those tracks are impostors that were seen at one time."""
    views = [
        Views(0, "a", unit([1, 0, 0], [0, 1, 0]), frozenset({1})),
        Views(1, "a", unit([0, 0, 1], [0, 0, 1]), frozenset({0})),
        Views(2, "a", unit([1, 0, 0], [1, 0, 0]), frozenset()),
    ]
    genuine, impostor = track_distances(views, features_per_track=4, max_similarity=0.99)
    assert sorted(genuine.tolist()) == pytest.approx([0.0, 0.0, 1.0])
    assert impostor == pytest.approx([1.0])


def test_a_crop_is_compared_with_the_mean_of_the_others() -> None:
    views = [
        Views(1, "a", unit([1, 0, 0], [0, 1, 0], [0, 1, 0])),
        Views(2, "a", unit([0, 0, 1])),
        Views(3, "b", unit([0, 0, 1])),
    ]
    genuine, impostor = crop_distances(views)
    # The first crop is orthogonal to the others; each other one to the mean of the first and itself.
    assert sorted(genuine.tolist()) == pytest.approx([1 - 0.5**0.5, 1 - 0.5**0.5, 1.0], abs=1e-6)
    # Three crops against person 2's mean, one against person 1's; nobody of another camera.
    assert impostor == pytest.approx([1.0] * 4)


def crowd(people: int, seed: int = 0) -> list[Views]:
    """Every person with five embeddings in each of two cameras."""
    rng = np.random.default_rng(seed)
    return [
        Views(person, camera, unit(*rng.standard_normal((5, 8)).tolist()))
        for person in range(people)
        for camera in ("a", "b")
    ]


def test_of_too_many_pairs_a_sample_is_drawn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    views = crowd(people=40)

    def both() -> list[tuple[np.ndarray, np.ndarray]]:
        return [track_distances(views, features_per_track=4, max_similarity=0.95), crop_distances(views)]

    whole = both()
    assert [len(impostor) for _, impostor in whole] == [80 * 79 // 2 - 40, 2 * 40 * 39 * 5]
    assert not caplog.records
    monkeypatch.setattr("pipeline.cross_camera.match_threshold.MAX_IMPOSTOR_PAIRS", 1000)
    drawn = both()
    assert "of 3120 pairs of two people a random 32.1 % are measured, about 1000" in caplog.messages
    for (genuine, impostor), (some_genuine, some_impostor) in zip(whole, drawn, strict=True):
        np.testing.assert_array_equal(some_genuine, genuine)
        assert 850 < len(some_impostor) < 1150
        assert np.isin(some_impostor, impostor).all()
    np.testing.assert_array_equal(both()[0][1], drawn[0][1])


def test_a_person_is_no_impostor_of_itself_whatever_the_list_of_others_says() -> None:
    views = [
        Views(1, "a", unit([1, 0]), frozenset({1, 2})),
        Views(1, "a", unit([0, 1])),
        Views(2, "a", unit([0, 1])),
    ]
    _, impostor = track_distances(views, features_per_track=4, max_similarity=0.95)
    assert impostor.tolist() == pytest.approx([1.0, 0.0])


def test_nobody_at_all() -> None:
    for genuine, impostor in (
        track_distances([], features_per_track=4, max_similarity=0.95),
        crop_distances([]),
    ):
        assert len(genuine) == len(impostor) == 0


def test_places_count_alike_however_many_pairs_they_have() -> None:
    """The shop's pairs of two people begin at .1, the street's, five times as many, at .5.

    At a mean rate of 5 % one of the shop's ten may come in, which is half of its share of the mean.
    """
    shop = (np.array([0.05, 0.3]), np.linspace(0.1, 1.0, 10))
    street = (np.array([0.05, 0.05]), np.linspace(0.5, 1.5, 50))
    found = match_threshold_of_places({"shop": shop, "street": street}, false_match_rate=0.05)
    assert found.max_cosine_distance == pytest.approx(0.15)
    assert found.of_places == {"shop": pytest.approx(0.1), "street": 0.0}
    assert found.false_match_rate == pytest.approx(0.05)
    assert found.false_non_match_rate == pytest.approx((0.5 + 0.0) / 2)
    assert (found.genuine_pairs, found.impostor_pairs) == (4, 60)
    assert found.equal_error_rate == pytest.approx(np.mean([equal_error_rate(*shop), equal_error_rate(*street)]))


def test_one_place_is_as_no_place() -> None:
    pairs = (np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.5]))
    alone = match_threshold_of_places({"shop": pairs}, false_match_rate=0.4)
    assert alone == match_threshold(*pairs, false_match_rate=0.4)
    assert alone.of_places == alone.of_left_out == {}


def test_a_place_that_is_left_out_is_measured_and_moves_nothing() -> None:
    shop = (np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.5]))
    street = (np.array([0.1, 0.2]), np.array([0.3, 0.6, 0.7]))
    elsewhere = {"square": (np.array([0.1]), np.array([0.1, 0.2, 0.3, 0.9]))}
    for places in ({"shop": shop}, {"shop": shop, "street": street}):
        alone = match_threshold_of_places(places, false_match_rate=0)
        judged = match_threshold_of_places(places, false_match_rate=0, left_out=elsewhere)
        assert judged.of_left_out == {"square": 0.5}
        assert replace(judged, of_left_out={}) == alone


@given(
    st.lists(
        st.tuples(*[hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 2))] * 2),
        min_size=2,
        max_size=4,
    ),
    st.floats(0, 0.9),
)
def test_the_mean_rate_is_never_above_what_is_allowed(
    places: list[tuple[Distances, Distances]], rate: float
) -> None:
    named = {str(index): pairs for index, pairs in enumerate(places)}
    found = match_threshold_of_places(named, false_match_rate=rate)
    assert found.false_match_rate <= rate + 1e-6
    rates = [np.mean(impostor <= found.max_cosine_distance) for _, impostor in places]
    assert list(found.of_places.values()) == pytest.approx(rates)
