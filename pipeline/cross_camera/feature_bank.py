"""A small set of embeddings that shows a person from different sides."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes import FloatArray


class FeatureBank:
    """Keeps at most `capacity` diverse embeddings.

    A new embedding enters unless it is nearly the same as a kept one (PoseTrack keeps its banks diverse the same
    way); a full bank first gives up one of its two most similar members, the older.
    """

    def __init__(self, capacity: int, max_similarity: float) -> None:
        self._capacity = capacity
        self._max_similarity = max_similarity
        self._rows: list[FloatArray] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def embeddings(self) -> FloatArray:
        """(K, D) float32; (0, 0) when empty."""
        return np.stack(self._rows) if self._rows else np.zeros((0, 0), np.float32)

    def add(self, embedding: FloatArray) -> bool:
        """Offer an L2-normalised embedding (D,); True if it was kept."""
        if self._rows:
            kept = self.embeddings
            if float((kept @ embedding).max()) > self._max_similarity:
                return False
            if len(kept) >= self._capacity:
                everything = np.concatenate([kept, embedding[None]])
                similarity = np.tril(everything @ everything.T, -1) - np.triu(np.full(len(everything), 2.0))
                _, older = np.unravel_index(int(similarity.argmax()), similarity.shape)
                del self._rows[int(older)]
        # A row of a larger array would keep all of it in memory.
        self._rows.append(embedding.astype(np.float32, copy=True))
        return True
