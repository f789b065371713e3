"""Costs of appearance and of floor distance between two people, each in units of its limit: 1 is the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray
from pipeline.core.vectors import unit

Array = NDArray[np.floating[Any]]

# Floor positions jump when feet are hidden; fewer shared time slots than this prove nothing.
MIN_SHARED_SLOTS = 3
# Steepness of the conversion from cost to probability: at half the limit a link is 95 % sure (see `posterior`).
_SHARPNESS = 6.0


def mean_embedding(embeddings: FloatArray) -> FloatArray:
    """Return the (D,) mean of (K, D) embeddings, of length 1; empty if there is none.

    The mean of views from different sides distinguishes people far better than the most similar pairs of single views
    (docs/benchmark.md has the figures).
    """
    if not len(embeddings):
        return np.zeros(0, np.float32)
    return unit(embeddings.mean(axis=0))


def embedding_distances(means: Array, others: Array, other_length: Array | None = None) -> Array:
    """Return the (Q, I) cosine distances in [0, 2] between mean embeddings (Q, D) and others (I, D). Vectors may have
    any length; a zero vector means unknown, and its distances are +inf.

    Args:
        other_length: (I,) lengths of `others`, if they are known.
    """
    if not means.size or not others.size:
        return np.full((len(means), len(others)), np.inf)
    length = np.linalg.norm(means, axis=1)
    if other_length is None:
        other_length = np.linalg.norm(others, axis=1)
    scale = np.maximum(length[:, None] * other_length[None, :], 1e-12)
    known = (length > 0)[:, None] & (other_length > 0)[None, :]
    return np.asarray(np.where(known, np.clip(1 - means @ others.T / scale, 0, 2), np.inf))


def combined_cost(
    appearance: Array,
    floor_m: Array,
    *,
    max_cosine_distance: float | Array,
    max_floor_distance_m: float,
    floor_weight: float,
) -> Array:
    """Combine appearance and floor distance into one cost; up to 1 means the same person.

    Args:
        appearance: cosine distances, +inf where unknown.
        floor_m: distances on the floor at the same time in metres, NaN where unknown.

    Returns:
        Costs of the same shape; +inf where nothing is known or the floor positions exclude a match.
    """
    by_appearance = appearance / max_cosine_distance
    place = floor_m / max_floor_distance_m
    placed = ~np.isnan(place)
    both = np.where(np.isinf(by_appearance), place, (1 - floor_weight) * by_appearance + floor_weight * place)
    return np.where(placed, np.where(place > 1, np.inf, both), by_appearance)


def posterior(cost: float, rivals: Array) -> float:
    """Return how sure a choice is, in [0, 1]: its weight among all alternatives, where a weight is exp(-6 x cost).

    It says nothing of mistakes that no distance shows, such as a person who has been forgotten. docs/benchmark.md
    compares it with the share of right links.

    Args:
        cost: cost of the chosen alternative; a new identity has cost 1, the limit.
        rivals: costs of the other alternatives, +inf for impossible ones.
    """
    weight = float(np.exp(-_SHARPNESS * cost))
    return weight / (weight + float(np.exp(-_SHARPNESS * rivals).sum()))
