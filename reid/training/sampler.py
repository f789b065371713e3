"""PK sampling: every batch holds P identities with K crops each, as batch-hard mining needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reid.training.data import Parts


class PKSampler:
    """Full batches of `ids_per_batch` x `crops_per_id` crop indices; each epoch depends only on (seed, epoch).

    The shuffled crops of an identity are cut into groups of `crops_per_id`, and the rest is dropped. An identity with
    fewer crops has one group, in which crops are repeated. Batches draw identities among those that still have a group,
    until fewer than `ids_per_batch` are left.
    """

    def __init__(self, labels: Sequence[int], *, ids_per_batch: int, crops_per_id: int, seed: int) -> None:
        """
        Args:
            labels: identity of every crop.

        Raises:
            ValueError: there are fewer identities than a batch needs.
        """
        self._rows_of = {label: np.flatnonzero(np.asarray(labels) == label) for label in sorted(set(labels))}
        if len(self._rows_of) < ids_per_batch:
            raise ValueError(f"a batch needs {ids_per_batch} identities, but there are {len(self._rows_of)}")
        self._ids_per_batch = ids_per_batch
        self._crops_per_id = crops_per_id
        self._seed = seed

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the crop indices of every batch of `epoch` (from 0); crops of one identity are adjacent."""
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


class SharedBatches:
    """Batches shared by several data sets: each contributes its number of identities, or of crops without identity.

    When all crops of a data set were used, it is shuffled and starts again within the epoch. A data set that is larger
    than its share contributes other crops in the next epoch. Each epoch depends only on (seed, epoch).
    """

    def __init__(self, parts: Parts, *, crops_per_id: int, seed: int, batches_per_epoch: int | None) -> None:
        """
        Args:
            batches_per_epoch: None shows every crop once. One data set then has the batches of `PKSampler`; several
                have as many batches as their crops fill together.

        Raises:
            ValueError: a data set has fewer identities than its share of a batch.
        """
        labels = parts.labels
        self._seed = seed
        self._parts = parts
        self._crops_per_id = crops_per_id
        self._samplers = [
            PKSampler(
                [labels[row] for row in part.rows],
                ids_per_batch=part.ids_per_batch,
                crops_per_id=crops_per_id,
                seed=seed,
            )
            if part.identities
            else None
            for part in parts.sets
        ]
        size = crops_per_id * sum(part.ids_per_batch for part in parts.sets)
        self._count = batches_per_epoch
        if batches_per_epoch is None and len(parts.sets) > 1:
            self._count = max(1, len(parts.train) // size)

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the rows of the training crops in every batch of `epoch` (from 0); crops of one identity are
        adjacent."""
        if self._count is None:
            only = self._samplers[0]
            return only.batches(epoch) if only is not None else self._unknown(0, epoch, None)
        shares = [self._share(index, epoch, self._count) for index in range(len(self._parts.sets))]
        return [[row for share in shares for row in share[batch]] for batch in range(self._count)]

    def _share(self, index: int, epoch: int, count: int) -> list[list[int]]:
        """Return the rows that data set `index` contributes to each of `count` batches."""
        sampler, first = self._samplers[index], self._parts.sets[index].rows.start
        if sampler is None:
            return self._unknown(index, epoch, count)
        shares: list[list[int]] = []
        while len(shares) < count:
            # the seed continues over the rounds of all epochs, so that each round is shuffled differently
            shares += sampler.batches(epoch * count + len(shares))
        return [[first + row for row in share] for share in shares[:count]]

    def _unknown(self, index: int, epoch: int, count: int | None) -> list[list[int]]:
        part = self._parts.sets[index]
        size = part.ids_per_batch * self._crops_per_id
        rng = np.random.default_rng([self._seed, epoch, index])
        rows = np.arange(part.rows.start, part.rows.stop)
        order = rng.permutation(rows)
        wanted = size * (len(rows) // size if count is None else count)
        while len(order) < wanted:
            order = np.concatenate([order, rng.permutation(rows)])
        return order[:wanted].reshape(-1, size).tolist()
