"""How unlike two people look and how far apart they are; both in units of their limit, so that 1 is the border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import BoolArray, FloatArray

Array = NDArray[np.floating[Any]]

# A single pair of crops can look alike by chance, a mean over all pairs mixes front and back views.
BEST_PAIRS = 3
# Floor positions jump when feet are hidden; fewer shared time slots than this prove nothing.
MIN_SHARED_SLOTS = 3
# Matrix products rearrange the whole gallery first, which for so few vectors costs more than it saves.
_FEW_EMBEDDINGS = 4
# How steeply a distance turns into a probability: at half the limit a link is 95 % sure (see `posterior`).
_SHARPNESS = 6.0


def appearance_distance(query: FloatArray, gallery: FloatArray, valid: BoolArray) -> Array:
    """Cosine distance of one person to many: the mean of the best three pairs of embeddings.

    Args:
        query: (K, D) embeddings of one person.
        gallery: (I, F, D) embeddings of I others.
        valid: (I, F) which of them exist.

    Returns:
        (I,) in [0, 2]; +inf where either side has no embedding.
    """
    return appearance_distances([query], gallery, valid)[0]


def appearance_distances(queries: Sequence[FloatArray], gallery: FloatArray, valid: BoolArray) -> list[Array]:
    """`appearance_distance` of each of several persons, with one pass over the gallery."""
    count = len(gallery)
    lengths = [len(query) for query in queries]
    if not sum(lengths) or not gallery.size:
        return [np.full(count, np.inf) for _ in queries]
    flat = gallery.reshape(-1, gallery.shape[2])
    if sum(lengths) <= _FEW_EMBEDDINGS:
        similarity = np.stack([flat @ embedding for query in queries for embedding in query])
    else:
        similarity = np.concatenate([query for query in queries if len(query)]) @ flat.T
    similarity[:, ~valid.ravel()] = -np.inf
    ends = np.cumsum(lengths)
    features = gallery.shape[1]
    return [
        _mean_of_best(similarity[end - length : end].reshape(length, count, features))
        for end, length in zip(ends.tolist(), lengths, strict=True)
    ]


def _mean_of_best(similarity: Array) -> Array:
    """(I,) distances from the similarities (K, I, F) of one query, -inf where a feature is missing."""
    length, count, features = similarity.shape
    if not length:
        return np.full(count, np.inf)
    pairs = similarity.transpose(1, 0, 2).reshape(count, length * features)
    if pairs.shape[1] > BEST_PAIRS:
        pairs = np.partition(pairs, -BEST_PAIRS, axis=1)[:, -BEST_PAIRS:]
    usable = np.isfinite(pairs)
    counted = usable.sum(axis=1)
    total = np.where(usable, pairs, 0).sum(axis=1)
    distance = 1 - np.divide(total, counted, out=np.zeros(count), where=counted > 0)
    return np.where(counted > 0, np.clip(distance, 0, 2), np.inf)


def combined_cost(
    appearance: Array,
    floor_m: Array,
    *,
    max_cosine_distance: float | Array,
    max_floor_distance_m: float,
    floor_weight: float,
) -> Array:
    """Appearance and floor distance as one cost; up to 1 means the same person.

    Args:
        appearance: cosine distances, +inf where unknown.
        floor_m: distances on the floor at the same time in metres, NaN where unknown.

    Returns:
        The same shape; +inf where nothing is known or the floor positions exclude it.
    """
    look = appearance / max_cosine_distance
    place = floor_m / max_floor_distance_m
    placed = ~np.isnan(place)
    both = np.where(np.isinf(look), place, (1 - floor_weight) * look + floor_weight * place)
    return np.where(placed, np.where(place > 1, np.inf, both), look)


def posterior(cost: float, rivals: Array) -> float:
    """How sure a choice is, in [0, 1]: its weight among all alternatives, each exp(-6 x cost).

    Args:
        cost: of the chosen alternative; staying alone (being new) has cost 1, the limit.
        rivals: costs of the other alternatives, +inf for impossible ones.
    """
    weight = float(np.exp(-_SHARPNESS * cost))
    return weight / (weight + float(np.exp(-_SHARPNESS * rivals).sum()))
