"""PK sampling: every batch holds P identities with K crops each, as batch-hard mining needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class PKSampler:
    """Full batches of `ids_per_batch` x `crops_per_id` crop indices; each epoch depends on (seed, epoch) alone.

    An identity's shuffled crops are cut into groups of `crops_per_id`, the tail is dropped; an identity with
    fewer crops is filled up with repeats to one group. Batches draw identities among those that still have a
    group until fewer than `ids_per_batch` are left.
    """

    def __init__(self, labels: Sequence[int], *, ids_per_batch: int, crops_per_id: int, seed: int) -> None:
        """
        Args:
            labels: identity of every crop.

        Raises:
            ValueError: fewer identities than a batch needs.
        """
        self._rows_of = {label: np.flatnonzero(np.asarray(labels) == label) for label in sorted(set(labels))}
        if len(self._rows_of) < ids_per_batch:
            raise ValueError(f"a batch needs {ids_per_batch} identities, but there are {len(self._rows_of)}")
        self._ids_per_batch = ids_per_batch
        self._crops_per_id = crops_per_id
        self._seed = seed

    def batches(self, epoch: int) -> list[list[int]]:
        """The crop indices of every batch of `epoch` (from 0); crops of one identity stand together."""
        rng = np.random.default_rng([self._seed, epoch])
        groups = {label: self._groups(rows, rng) for label, rows in self._rows_of.items()}
        batches = []
        while len(groups) >= self._ids_per_batch:
            chosen = rng.choice(list(groups), size=self._ids_per_batch, replace=False)
            batch: list[int] = []
            for label in chosen.tolist():
                batch += groups[label].pop()
                if not groups[label]:
                    del groups[label]
            batches.append(batch)
        return batches

    def _groups(self, rows: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
        k = self._crops_per_id
        if len(rows) < k:
            rows = np.concatenate([rows, rng.choice(rows, size=k - len(rows))])
        shuffled = rng.permutation(rows)
        return [shuffled[i : i + k].tolist() for i in range(0, len(shuffled) - k + 1, k)]
