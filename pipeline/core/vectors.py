"""Normalising and centring of embeddings: vectors of length 1, and camera means."""

from __future__ import annotations

from math import sqrt
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
F = TypeVar("F", bound=np.floating[Any])
# Shorter vectors have no meaningful direction; they are not brought to length 1.
_SHORTEST = 1e-12


def unit(vectors: NDArray[F]) -> NDArray[F]:
    """Return `vectors` (..., D) scaled to length 1; a zero vector stays zero."""
    length = lengths(vectors)
    return np.asarray(vectors / (length if vectors.ndim == 1 else length[..., None]), vectors.dtype)


def lengths(vectors: NDArray[F]) -> NDArray[F]:
    """Return the (...,) lengths by which `unit` divides `vectors` (..., D): 1e-12 for zero vectors."""
    if vectors.ndim == 1:  # much faster than the norm along an axis
        return np.asarray(max(sqrt(float(vectors @ vectors)), _SHORTEST), vectors.dtype)
    return np.asarray(np.maximum(np.linalg.norm(vectors, axis=-1), _SHORTEST), vectors.dtype)


def centred(vectors: NDArray[F], mean: NDArray[F]) -> NDArray[F]:
    """Return `vectors` (..., D) minus `mean` (broadcast), scaled to length 1 again."""
    return unit(vectors - mean)


def track_means(vectors: Array, track: NDArray[np.int64], tracks: int) -> NDArray[np.float32]:
    """Return the (T, D) mean of the vectors (N, D) of each of T tracks; every track has at least one.

    Args:
        track: (N,) track of each vector, from 0.
    """
    sums = np.zeros((tracks, vectors.shape[1]), np.float32)
    np.add.at(sums, track, vectors)
    return np.asarray(sums / np.bincount(track, minlength=tracks)[:, None], np.float32)


def camera_means(of_tracks: Array, camera: NDArray[np.int64], cameras: int) -> NDArray[np.float32]:
    """Return the (C, D) camera means: for each camera, the mean of its track means (T, D); 0 without tracks.

    Every track counts the same, so that a person who stands still does not dominate.

    Args:
        camera: (T,) camera of each track, from 0.
    """
    means = np.zeros((cameras, of_tracks.shape[1]), np.float32)
    for number in range(cameras):
        own = of_tracks[camera == number]
        if len(own):
            means[number] = own.mean(axis=0)
    return means
