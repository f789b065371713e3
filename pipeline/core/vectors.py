"""Vectors of length 1, and the mean of a camera: how embeddings are normalised and centred everywhere."""

from __future__ import annotations

from math import sqrt
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
F = TypeVar("F", bound=np.floating[Any])
# Shorter vectors have no direction worth speaking of; they are not made longer.
_SHORTEST = 1e-12


def unit(vectors: NDArray[F]) -> NDArray[F]:
    """(..., D) `vectors` at length 1; a vector of zeros stays one."""
    if vectors.ndim == 1:  # many times as quick as along an axis
        scaled = vectors / max(sqrt(float(vectors @ vectors)), _SHORTEST)
    else:
        scaled = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _SHORTEST)
    return np.asarray(scaled, vectors.dtype)


def centred(vectors: NDArray[F], mean: NDArray[F]) -> NDArray[F]:
    """(..., D) `vectors` without `mean`, which is broadcast to them, at length 1 again."""
    return unit(vectors - mean)


def track_means(vectors: Array, track: NDArray[np.int64], tracks: int) -> NDArray[np.float32]:
    """(T, D) mean of the vectors (N, D) of each of T tracks, each of which has one at least.

    Args:
        track: (N,) of each vector, from 0.
    """
    sums = np.zeros((tracks, vectors.shape[1]), np.float32)
    np.add.at(sums, track, vectors)
    return np.asarray(sums / np.bincount(track, minlength=tracks)[:, None], np.float32)


def camera_means(of_tracks: Array, camera: NDArray[np.int64], cameras: int) -> NDArray[np.float32]:
    """(C, D) mean of each of C cameras: of the means (T, D) of its tracks, each of which counts the same, so that a
    person who stands still does not become the camera. Zero for a camera without tracks.

    Args:
        camera: (T,) of each track, from 0.
    """
    means = np.zeros((cameras, of_tracks.shape[1]), np.float32)
    for number in range(cameras):
        own = of_tracks[camera == number]
        if len(own):
            means[number] = own.mean(axis=0)
    return means
