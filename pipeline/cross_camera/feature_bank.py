"""A small set of embeddings that show a person from different sides."""

from __future__ import annotations

import numpy as np

from pipeline.core.datatypes import FloatArray


class FeatureBank:
    """Keeps at most `capacity` diverse embeddings.

    A new embedding is added unless it is nearly the same as a kept one (PoseTrack keeps its banks diverse in the same
    way). A full bank then drops the older one of the two most similar embeddings.

    Args:
        max_similarity: cosine similarity above which a new embedding is nearly the same as a kept one.

    Attributes:
        kept: number of embeddings added so far.
    """

    def __init__(self, capacity: int, max_similarity: float) -> None:
        self._capacity = capacity
        self._max_similarity = max_similarity
        self._older_than = np.tri(capacity + 1, k=-1, dtype=np.bool_)
        self._count = 0
        self.kept = 0
        self._rows: FloatArray = np.zeros((0, 0), np.float32)
        self._mean: FloatArray | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def embeddings(self) -> FloatArray:
        """(K, D) float32, the oldest first; (0, 0) when empty. Valid until the next `add`."""
        return self._rows[: self._count]

    def mean(self) -> FloatArray | None:
        """Return the (D,) mean of the embeddings, not of length 1; None when empty."""
        if self._mean is None and self._count:
            self._mean = np.asarray(self.embeddings.mean(axis=0), np.float32)
        return self._mean

    def add(self, embedding: FloatArray) -> bool:
        """Offer an L2-normalised embedding (D,); return True if it was kept."""
        if not self._count:
            self._rows = np.empty((self._capacity, len(embedding)), np.float32)
        elif float((self.embeddings @ embedding).max()) > self._max_similarity:
            return False
        if self._count == self._capacity:
            everything = np.concatenate([self._rows, embedding[None]])
            similarity = np.where(self._older_than, everything @ everything.T, -np.inf)
            older = int(similarity.argmax()) % len(everything)
            self._rows[older:-1] = self._rows[older + 1 :].copy()
            self._count -= 1
        self._mean = None
        self._rows[self._count] = embedding
        self._count += 1
        self.kept += 1
        return True
