"""Distances between the features of queries and of a gallery, a block of rows at a time. Needs only numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.vectors import unit

Float32Array = NDArray[np.float32]

ROWS_AT_ONCE = 512  # bounds the distance matrix: 512 x 82,161 (MSMT17's gallery) float32 is 168 MB


class Distance(Protocol):
    """A distance between features."""

    def __call__(self, query: NDArray[Any], gallery: NDArray[Any], /) -> Iterator[Float32Array]:
        """Yield the distances of `query` (Q, D) to `gallery` (G, D) as consecutive blocks of rows (R, G), float32."""
        ...


def squared_euclidean_distance(query: NDArray[Any], gallery: NDArray[Any]) -> Iterator[Float32Array]:
    """Squared Euclidean distance of the L2-normalised features: 2 - 2 cosine. A `Distance`."""
    query_unit, gallery_unit = unit(np.asarray(query, np.float32)), unit(np.asarray(gallery, np.float32))
    for start in range(0, len(query_unit), ROWS_AT_ONCE):
        yield squared_distances(query_unit[start : start + ROWS_AT_ONCE], gallery_unit)


def squared_distances(a_unit: Float32Array, b_unit: Float32Array) -> Float32Array:
    """Return (A, B) squared Euclidean distances of unit rows (A, D) and (B, D), never below 0 despite rounding."""
    distances: Float32Array = np.maximum(2.0 - 2.0 * a_unit @ b_unit.T, 0.0)
    return distances
