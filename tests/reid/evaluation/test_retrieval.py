"""Retrieval metrics against tables worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.evaluation.retrieval import LabelledFeatures, RetrievalMetrics, evaluate_retrieval


def at_angles(*rows: tuple[float, int, int]) -> LabelledFeatures:
    """Crops given as (angle in degrees, person, camera): distance grows with the angle between two."""
    angles = np.radians([row[0] for row in rows])
    return LabelledFeatures(
        features=np.stack([np.cos(angles), np.sin(angles)], axis=1),
        person_ids=np.array([row[1] for row in rows]),
        cameras=np.array([row[2] for row in rows]),
    )


QUERY = (0.0, 1, 1)


@pytest.mark.parametrize(
    ("gallery", "average_precision", "first_hit", "inverse_penalty"),
    [
        pytest.param([(10, 1, 2), (20, 2, 2)], 1.0, 1, 1.0, id="hit first"),
        pytest.param([(10, 2, 2), (20, 1, 2)], 1 / 2, 2, 1 / 2, id="hit second"),
        pytest.param(
            [(10, 1, 2), (20, 2, 2), (30, 1, 3), (40, 2, 3)], (1 / 1 + 2 / 3) / 2, 1, 2 / 3, id="two hits"
        ),
        pytest.param([(5, 1, 1), (10, 2, 2), (20, 1, 2)], 1 / 2, 2, 1 / 2, id="same camera is dropped"),
        pytest.param([(5, 2, 1), (20, 1, 2)], 1 / 2, 2, 1 / 2, id="others in the same camera stay"),
        pytest.param([(5, 0, 2), (20, 1, 2)], 1 / 2, 2, 1 / 2, id="distractors count as wrong"),
    ],
)
def test_one_query(
    gallery: Sequence[tuple[float, int, int]],
    average_precision: float,
    first_hit: int,
    inverse_penalty: float,
) -> None:
    metrics = evaluate_retrieval(at_angles(QUERY), at_angles(*gallery))
    assert metrics.mean_average_precision == pytest.approx(average_precision)
    assert metrics.mean_inverse_negative_penalty == pytest.approx(inverse_penalty)
    assert metrics.cmc.tolist() == [float(k >= first_hit) for k in range(1, len(gallery) + 1)]


def test_means_leave_out_queries_without_a_match() -> None:
    query = at_angles((0, 1, 1), (90, 2, 1), (45, 3, 1))
    gallery = at_angles((10, 1, 2), (20, 2, 2), (80, 1, 3), (44, 3, 1))
    metrics = evaluate_retrieval(query, gallery)
    # person 1: hits at 1 and 4 of (10, 20, 44, 80); person 2: hit at 3 of (80, 44, 20, 10); person 3: none left
    assert metrics.mean_average_precision == pytest.approx(((1 + 2 / 4) / 2 + 1 / 3) / 2)
    assert metrics.mean_inverse_negative_penalty == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert metrics.cmc.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert (metrics.queries, metrics.queries_without_match) == (2, 1)
    assert (metrics.rank(1), metrics.rank(3), metrics.rank(10)) == (0.5, 1.0, 1.0)
    assert metrics.to_dict()["rank5"] == 1.0


def test_a_folder_searched_in_itself_never_finds_the_same_crop() -> None:
    crops = at_angles((0, 1, 1), (50, 1, 2), (10, 2, 1), (60, 2, 2))
    metrics = evaluate_retrieval(crops, crops)
    # the neighbour 10 degrees away is the other person; the true match is 50 away, for the outer crops (0, 60)
    # second, for the inner ones (10, 50) third
    assert metrics.queries == 4
    assert metrics.rank(1) == 0.0
    assert metrics.mean_average_precision == pytest.approx((1 / 2 + 1 / 3 + 1 / 3 + 1 / 2) / 4)


def test_length_of_features_does_not_matter_and_galleries_are_cut_at_fifty() -> None:
    rng = np.random.default_rng(0)
    query = at_angles((0, 1, 1))
    gallery = at_angles(*[(float(angle), 2, 2) for angle in range(1, 60)], (70.0, 1, 2))
    metrics = evaluate_retrieval(query, gallery)
    scaled = LabelledFeatures(gallery.features * rng.uniform(0.1, 9, (60, 1)), gallery.person_ids, gallery.cameras)
    assert evaluate_retrieval(query, scaled).mean_average_precision == pytest.approx(1 / 60)
    assert metrics.mean_average_precision == pytest.approx(1 / 60)
    assert metrics.cmc.shape == (50,)
    assert metrics.rank(50) == 0.0


def literal_metrics(query: LabelledFeatures, gallery: LabelledFeatures) -> RetrievalMetrics | None:
    """The protocol word by word, one query and one gallery crop at a time."""
    precisions, penalties, first_ranks = [], [], []
    for feature, person, camera in zip(query.features, query.person_ids, query.cameras, strict=True):
        kept = []
        for other, other_person, other_camera in zip(
            gallery.features, gallery.person_ids, gallery.cameras, strict=True
        ):
            if other_person != person or other_camera != camera:
                cosine = feature @ other / np.linalg.norm(feature) / np.linalg.norm(other)
                kept.append((2 - 2 * cosine, other_person == person))
        kept.sort(key=lambda pair: pair[0])
        ranks = [rank for rank, (_, hit) in enumerate(kept, start=1) if hit]
        if ranks:
            precisions.append(math.fsum(n / rank for n, rank in enumerate(ranks, start=1)) / len(ranks))
            penalties.append(len(ranks) / ranks[-1])
            first_ranks.append(ranks[0])
    if not precisions:
        return None
    cmc = np.array([np.mean([first <= k for first in first_ranks]) for k in range(1, len(gallery.features) + 1)])
    return RetrievalMetrics(
        mean_average_precision=float(np.mean(precisions)),
        cmc=cmc,
        mean_inverse_negative_penalty=float(np.mean(penalties)),
        queries=len(precisions),
        queries_without_match=len(query.features) - len(precisions),
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 30))
def test_equals_the_protocol_word_by_word(seed: int, queries: int, gallery_size: int) -> None:
    rng = np.random.default_rng(seed)

    def draw(count: int) -> LabelledFeatures:
        return LabelledFeatures(
            rng.standard_normal((count, 6)), rng.integers(0, 4, count), rng.integers(0, 3, count)
        )

    query, gallery = draw(queries), draw(gallery_size)
    expected = literal_metrics(query, gallery)
    if expected is None:
        with pytest.raises(ValueError, match="no query has a true match"):
            evaluate_retrieval(query, gallery)
        return
    metrics = evaluate_retrieval(query, gallery)
    assert metrics.mean_average_precision == pytest.approx(expected.mean_average_precision)
    assert metrics.mean_inverse_negative_penalty == pytest.approx(expected.mean_inverse_negative_penalty)
    assert metrics.cmc == pytest.approx(expected.cmc)
    assert (metrics.queries, metrics.queries_without_match) == (
        expected.queries,
        expected.queries_without_match,
    )
