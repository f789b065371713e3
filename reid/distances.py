"""Distances between the features of queries and of a gallery, a few rows at a time. numpy only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.vectors import unit

Float32Array = NDArray[np.float32]

ROWS_AT_ONCE = 512  # bounds the distance matrix: 512 x 82,161 (MSMT17's gallery) float32 is 168 MB


class Distance(Protocol):
    """How far features are from each other."""

    def __call__(self, query: NDArray[Any], gallery: NDArray[Any], /) -> Iterator[Float32Array]:
        """Distances of `query` (Q, D) to `gallery` (G, D): consecutive blocks of rows (R, G), float32."""
        ...


def squared_euclidean_distance(query: NDArray[Any], gallery: NDArray[Any]) -> Iterator[Float32Array]:
    """Of the L2-normalised features: 2 - 2 cosine. A `Distance`."""
    query_unit, gallery_unit = unit(np.asarray(query, np.float32)), unit(np.asarray(gallery, np.float32))
    for start in range(0, len(query_unit), ROWS_AT_ONCE):
        yield squared_distances(query_unit[start : start + ROWS_AT_ONCE], gallery_unit)


def squared_distances(a_unit: Float32Array, b_unit: Float32Array) -> Float32Array:
    """(A, B) squared Euclidean distances of unit rows (A, D) and (B, D); at least 0 in spite of rounding."""
    distances: Float32Array = np.maximum(2.0 - 2.0 * a_unit @ b_unit.T, 0.0)
    return distances
