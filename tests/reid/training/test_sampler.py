"""PK sampling."""

from __future__ import annotations

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.training.sampler import PKSampler


@given(
    counts=st.lists(st.integers(1, 9), min_size=3, max_size=8),
    ids_per_batch=st.integers(2, 3),
    crops_per_id=st.integers(2, 4),
    epoch=st.integers(0, 5),
)
def test_batches_are_full_and_use_a_crop_once(
    counts: list[int], ids_per_batch: int, crops_per_id: int, epoch: int
) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    sampler = PKSampler(labels, ids_per_batch=ids_per_batch, crops_per_id=crops_per_id, seed=1)
    batches = sampler.batches(epoch)
    assert batches
    used: collections.Counter[int] = collections.Counter()
    for batch in batches:
        chosen = [labels[crop] for crop in batch]
        groups = [chosen[i : i + crops_per_id] for i in range(0, len(chosen), crops_per_id)]
        assert len(groups) == ids_per_batch
        assert all(len(set(group)) == 1 for group in groups)
        assert len({group[0] for group in groups}) == ids_per_batch
        used.update(batch)
    for crop, times in used.items():
        assert times == 1 or counts[labels[crop]] < crops_per_id
    # fewer identities than a batch needs are left with a group
    groups_left = [max(count // crops_per_id, 1) for count in counts]
    for batch in batches:
        for label in {labels[crop] for crop in batch}:
            groups_left[label] -= 1
    assert min(groups_left) >= 0
    assert sum(left > 0 for left in groups_left) < ids_per_batch


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    labels = [label for label in range(10) for _ in range(8)]
    sampler = PKSampler(labels, ids_per_batch=4, crops_per_id=4, seed=3)
    same = PKSampler(labels, ids_per_batch=4, crops_per_id=4, seed=3)
    other = PKSampler(labels, ids_per_batch=4, crops_per_id=4, seed=4)
    sampler.batches(0)
    assert sampler.batches(5) == same.batches(5)
    assert sampler.batches(5) != sampler.batches(6)
    assert sampler.batches(5) != other.batches(5)


def test_too_few_identities() -> None:
    with pytest.raises(ValueError, match="needs 16 identities, but there are 2"):
        PKSampler([0, 0, 1], ids_per_batch=16, crops_per_id=4, seed=0)
