"""k-reciprocal re-ranking: two crops are similar if their nearest neighbours are the same crops.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017
(https://arxiv.org/abs/1701.08398). In two points this follows the authors' program, which produced the published
results, and not the paper. A crop's encoding V is divided by its sum. A neighbour's set is added if more than two
thirds of it are shared; the paper says at least two thirds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.core.errors import InputError
from pipeline.core.vectors import unit
from reid.distances import ROWS_AT_ONCE, Float32Array, squared_distances

Indices = NDArray[np.int64]

_PAIRS_AT_ONCE = 16384  # bounds the copies of features: 2 x 16,384 x 1,920 float32 is 252 MB


@dataclass(frozen=True)
class KReciprocalDistance:
    """Distance (1 - `original_weight`) * Jaccard + `original_weight` * original; a `reid.distances.Distance`.

    The original distance is the squared Euclidean distance of L2-normalised features, divided by the largest distance
    of the same crop. Memory grows with the number of crops times `k1`; the distances are never all in memory at once.

    Attributes:
        k1: number of neighbours among which reciprocal ones are searched, without the crop itself.
        k2: number of crops over which an encoding is averaged (local query expansion), including the crop itself.
        original_weight: lambda of the paper, in [0, 1].
    """

    k1: int = 20
    k2: int = 6
    original_weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1:
            raise InputError(f"re-ranking: k1 and k2 must be at least 1, but are {self.k1} and {self.k2}")
        if not 0.0 <= self.original_weight <= 1.0:
            raise InputError(f"re-ranking: lambda must be in [0, 1], but is {self.original_weight}")

    def __call__(self, query: NDArray[Any], gallery: NDArray[Any]) -> Iterator[Float32Array]:
        """Yield the distances of `query` (Q, D) to `gallery` (G, D) as consecutive blocks of rows (R, G), float32.

        Neighbours are searched among query and gallery together; if both are the same array, every crop counts once.
        """
        same = query is gallery
        features = unit(np.asarray(gallery if same else np.concatenate([query, gallery]), np.float32))
        ranked, largest = _nearest(features, max(self.k1 + 1, self.k2))
        encoding = _encoding(features, ranked[:, : self.k1 + 1], largest, self.k1)
        if self.k2 > 1:
            encoding = _mean_over(ranked[:, : self.k2]) @ encoding
        gallery_start = 0 if same else len(query)
        by_neighbour = encoding[gallery_start:].tocsc()  # (G, N): by column, the gallery crops with this neighbour
        for start in range(0, len(query), ROWS_AT_ONCE):
            rows = range(start, min(start + ROWS_AT_ONCE, len(query)))
            original = squared_distances(features[start : rows.stop], features[gallery_start:])
            original /= largest[start : rows.stop, None]
            jaccard = np.stack([_jaccard_distances(encoding, row, by_neighbour) for row in rows])
            yield (1 - self.original_weight) * jaccard + self.original_weight * original


def _nearest(features: Float32Array, count: int) -> tuple[Indices, Float32Array]:
    """Return for each crop its `count` nearest crops (itself first, then nearest first) and its largest distance.

    Returns:
        ranked (N, min(count, N)) int64, largest (N,) float32, at least 1e-12.
    """
    total = len(features)
    count = min(count, total)
    ranked = np.empty((total, count), np.int64)
    largest = np.empty(total, np.float32)
    for start in range(0, total, ROWS_AT_ONCE):
        block = squared_distances(features[start : start + ROWS_AT_ONCE], features)
        stop = start + len(block)
        largest[start:stop] = block.max(axis=1)
        block[np.arange(len(block)), np.arange(start, stop)] = -1.0  # a crop comes before its duplicates
        near = np.argpartition(block, count - 1, axis=1)[:, :count] if count < total else np.argsort(block, axis=1)
        order = np.argsort(np.take_along_axis(block, near, axis=1), axis=1, kind="stable")
        ranked[start:stop] = np.take_along_axis(near, order, axis=1)
    return ranked, np.maximum(largest, 1e-12)


def _encoding(features: Float32Array, ranked: Indices, largest: Float32Array, k1: int) -> sparse.csr_array:
    """Return V (N, N): for each crop, exp(-distance) over its expanded k-reciprocal set, divided by the sum."""
    half_k = round(k1 / 2)  # rounds halves to even, like numpy
    reciprocal, half = _reciprocal(ranked), _reciprocal(ranked[:, : half_k + 1])
    half_transposed = half.T.tocsr()
    half_sizes = np.diff(half.indptr)
    blocks = []
    for start in range(0, len(ranked), ROWS_AT_ONCE):
        own = reciprocal[start : start + ROWS_AT_ONCE]
        shared = ((own @ half_transposed) * own).tocoo()  # size of the overlap with the half set of each neighbour
        added = 3 * shared.data > 2 * half_sizes[shared.col]
        pairs = (np.ones(added.sum(), np.int32), (shared.row[added], shared.col[added]))
        expanded = (own + sparse.csr_array(pairs, shape=own.shape) @ half).tocoo()
        crops = expanded.row + start
        cosines = np.empty(len(crops), np.float32)
        for first in range(0, len(crops), _PAIRS_AT_ONCE):
            part = slice(first, first + _PAIRS_AT_ONCE)
            cosines[part] = np.einsum("nd,nd->n", features[crops[part]], features[expanded.col[part]])
        weights = np.exp(-np.maximum(2.0 - 2.0 * cosines, 0.0) / largest[crops])
        sums = np.bincount(expanded.row, weights)
        values = (weights / sums[expanded.row]).astype(np.float32)
        blocks.append(sparse.csr_array((values, (expanded.row, expanded.col)), shape=own.shape))
    return sparse.vstack(blocks, format="csr")


def _reciprocal(ranked: Indices) -> sparse.csr_array:
    """Return (N, N) int32, 1 where two crops are among each other's neighbours `ranked` (N, K)."""
    total, count = ranked.shape
    neighbours = sparse.csr_array(
        (np.ones(ranked.size, np.int32), ranked.ravel(), np.arange(total + 1) * count), shape=(total, total)
    )
    return (neighbours * neighbours.T.tocsr()).tocsr()


def _mean_over(ranked: Indices) -> sparse.csr_array:
    """Return the (N, N) matrix that averages rows over the crops in `ranked` (N, K)."""
    total, count = ranked.shape
    values = np.full(ranked.size, 1 / count, np.float32)
    return sparse.csr_array((values, ranked.ravel(), np.arange(total + 1) * count), shape=(total, total))


def _jaccard_distances(encoding: sparse.csr_array, row: int, by_neighbour: sparse.csc_array) -> Float32Array:
    """Return (G,), 1 - sum(min) / sum(max) of one encoding and each encoding of the gallery."""
    own = slice(encoding.indptr[row], encoding.indptr[row + 1])
    starts = by_neighbour.indptr[encoding.indices[own]]
    lengths = by_neighbour.indptr[encoding.indices[own] + 1] - starts
    # positions of all entries in the columns of the row's neighbours, column by column
    positions = np.arange(lengths.sum()) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    smaller = np.minimum(by_neighbour.data[positions], np.repeat(encoding.data[own], lengths))
    shared = np.bincount(by_neighbour.indices[positions], smaller, minlength=by_neighbour.shape[0])
    # encodings sum to 1, so sum(max) = 2 - sum(min)
    distances: Float32Array = (1.0 - shared / (2.0 - shared)).astype(np.float32)
    return distances
