"""A few embeddings of a person from different sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cross_camera.feature_bank import FeatureBank
from tests.helpers.factories import at_distance, one_hot


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
