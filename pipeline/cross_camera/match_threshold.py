"""Distance thresholds that decide whether two tracks are one person, with their error rates."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, FloatArray
from pipeline.core.vectors import camera_means, centred, unit
from pipeline.cross_camera.distances import embedding_distances, mean_embedding
from pipeline.cross_camera.feature_bank import FeatureBank

Distances = NDArray[np.floating[Any]]

# A rate of one in ten thousand then rests on a thousand pairs, and a set of distances takes 80 MB.
MAX_IMPOSTOR_PAIRS = 10_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MatchThreshold:
    """A limit on cosine distances, and its error rates.

    Attributes:
        max_cosine_distance: pairs up to this distance count as one person.
        false_match_rate: share of pairs of two people that count as one.
        false_non_match_rate: share of pairs of one person that count as two.
        equal_error_rate: the error at the threshold where both rates are equal; it measures how well the features
            distinguish people.
        genuine_pairs, impostor_pairs: number of measured pairs of one person and of two people.
        of_places: if several places were measured, the false match rate of each; the other rates are then means over
            places.
        of_left_out: the false match rate at places that took no part in finding the limit.
    """

    max_cosine_distance: float
    false_match_rate: float
    false_non_match_rate: float
    equal_error_rate: float
    genuine_pairs: int
    impostor_pairs: int
    of_places: Mapping[str, float] = field(default_factory=dict)
    of_left_out: Mapping[str, float] = field(default_factory=dict)


def match_threshold(genuine: Distances, impostor: Distances, *, false_match_rate: float) -> MatchThreshold:
    """Return the largest threshold whose share of impostor pairs at or below it is at most `false_match_rate`.

    Args:
        genuine: (G,) distances between two views of one person.
        impostor: (M,) distances between two people.
        false_match_rate: in [0, 1).

    Raises:
        ValueError: there are no genuine or no impostor pairs.
    """
    if not len(genuine) or not len(impostor):
        raise ValueError(f"a threshold needs pairs of both kinds, not {len(genuine)} and {len(impostor)}")
    ordered = np.sort(impostor)
    allowed = int(false_match_rate * len(ordered) + 1e-9)
    # The threshold lies halfway between the last impostor below it and the first above it: that generalises best.
    first_out = float(ordered[min(allowed, len(ordered) - 1)])
    last_in = float(ordered[allowed - 1]) if allowed else first_out - 1e-6
    limit = (first_out + last_in) / 2 if first_out > last_in else np.nextafter(first_out, -np.inf)
    return MatchThreshold(
        max_cosine_distance=float(limit),
        false_match_rate=float(np.mean(impostor <= limit)),
        false_non_match_rate=float(np.mean(genuine > limit)),
        equal_error_rate=equal_error_rate(genuine, impostor),
        genuine_pairs=len(genuine),
        impostor_pairs=len(impostor),
    )


def match_threshold_of_places(
    places: Mapping[str, tuple[Distances, Distances]],
    *,
    false_match_rate: float,
    left_out: Mapping[str, tuple[Distances, Distances]] = MappingProxyType({}),
) -> MatchThreshold:
    """Return the largest threshold whose share of impostor pairs, as a mean over places, is at most `false_match_rate`.

    People are compared only within their place, because the light alone distinguishes people of different places. All
    places count the same, however many pairs they have.

    Args:
        places: name -> (G,) genuine and (M,) impostor distances.
        left_out: other places; the limit does not depend on them.

    Raises:
        ValueError: a place has no genuine or no impostor pairs.
    """
    each = {
        name: match_threshold(genuine, impostor, false_match_rate=false_match_rate)
        for name, (genuine, impostor) in places.items()
    }
    if len(each) == 1:
        (only,) = each.values()
        return replace(only, of_left_out=_rates(left_out, only.max_cosine_distance))
    impostors = np.concatenate([impostor for _, impostor in places.values()])
    weights = np.concatenate(
        [np.full(len(impostor), 1 / len(impostor) / len(places)) for _, impostor in places.values()]
    )
    order = np.argsort(impostors, kind="stable")
    ordered, shares = impostors[order], np.cumsum(weights[order])
    # as in `match_threshold`: halfway between the last impostor below and the first above
    allowed = int(np.searchsorted(shares, false_match_rate + 1e-9, side="right"))
    first_out = float(ordered[min(allowed, len(ordered) - 1)])
    last_in = float(ordered[allowed - 1]) if allowed else first_out - 1e-6
    limit = float((first_out + last_in) / 2 if first_out > last_in else np.nextafter(first_out, -np.inf))
    of_places = _rates(places, limit)
    return MatchThreshold(
        max_cosine_distance=limit,
        false_match_rate=float(np.mean(list(of_places.values()))),
        false_non_match_rate=float(np.mean([np.mean(genuine > limit) for genuine, _ in places.values()])),
        equal_error_rate=float(np.mean([one.equal_error_rate for one in each.values()])),
        genuine_pairs=sum(one.genuine_pairs for one in each.values()),
        impostor_pairs=sum(one.impostor_pairs for one in each.values()),
        of_places=of_places,
        of_left_out=_rates(left_out, limit),
    )


def _rates(places: Mapping[str, tuple[Distances, Distances]], limit: float) -> dict[str, float]:
    """Return the false match rate of the limit at each place."""
    return {name: float(np.mean(impostor <= limit)) for name, (_, impostor) in places.items()}


def equal_error_rate(genuine: Distances, impostor: Distances) -> float:
    """Return the error rate at the threshold where false matches and false non-matches are equally frequent.

    If there is no such threshold, return the mean of both rates at the nearest one.
    """
    limits = np.unique(np.concatenate([genuine, impostor]))
    false_match = np.searchsorted(np.sort(impostor), limits, side="right") / len(impostor)
    false_non_match = 1 - np.searchsorted(np.sort(genuine), limits, side="right") / len(genuine)
    nearest = int(np.argmin(np.abs(false_match - false_non_match)))
    return float((false_match[nearest] + false_non_match[nearest]) / 2)


@dataclass(frozen=True, eq=False)
class Views:
    """Embeddings of one person in one camera, in order of time: of one track, or of labelled crops.

    Attributes:
        person: number of the person; the same number is the same person.
        camera: name of the camera.
        embeddings: (K, D) float32, L2-normalised.
        not_persons: numbers of the persons who are certainly different; None if all others are.
    """

    person: int
    camera: str
    embeddings: FloatArray
    not_persons: frozenset[int] | None = None


def centred_views(views: Sequence[Views]) -> list[Views]:
    """Return the same views with their camera mean subtracted, scaled to length 1 again. A camera mean is the mean over
    the mean embeddings of its persons."""
    if not views:
        return []
    names = sorted({view.camera for view in views})
    camera = np.array([names.index(view.camera) for view in views], np.int64)
    means = camera_means(np.stack([view.embeddings.mean(axis=0) for view in views]), camera, len(names))
    return [
        replace(view, embeddings=centred(view.embeddings, means[row]))
        for view, row in zip(views, camera, strict=True)
    ]


def track_distances(
    views: Sequence[Views], *, features_per_track: int, max_similarity: float, halves_below: int = 1
) -> tuple[Distances, Distances]:
    """Return distances as the linker measures them: between the means of the feature banks of two tracks.

    Pairs of one person are two of this person's views; if these are few, also the two halves of each view. Pairs of two
    people are all pairs that are certainly different. If they are too many, a seeded sample of about MAX_IMPOSTOR_PAIRS
    is used and logged.

    Args:
        features_per_track, max_similarity: capacity and similarity limit of the feature banks.
        halves_below: with fewer pairs of one person than this, halves are measured, too.

    Returns:
        (G,) genuine and (M,) impostor distances.
    """
    banks = [mean_embedding(_bank(v.embeddings, features_per_track, max_similarity)) for v in views]
    means = np.zeros((len(views), max(map(len, banks), default=0)), np.float32)
    for row, mean in enumerate(banks):
        means[row, : len(mean)] = mean
    labels = _Labels(views)
    drawn = _Drawn(sum(int(labels.differing(row)[row + 1 :].sum()) for row in range(len(views))))
    genuine: list[Distances] = []
    impostor: list[Distances] = []
    for row in range(len(views)):
        distances = embedding_distances(means[row : row + 1], means[row + 1 :])[0]
        impostor.append(drawn.of(distances[labels.differing(row)[row + 1 :]]))
        genuine.append(distances[labels.same_person(row)[row + 1 :]])
    if sum(map(len, genuine)) < halves_below:
        for view in views:
            half = len(view.embeddings) // 2
            if half:
                halves = [mean_embedding(part)[None] for part in (view.embeddings[:half], view.embeddings[half:])]
                genuine.append(embedding_distances(*halves)[0])
    return _joined(genuine), _joined(impostor)


def crop_distances(views: Sequence[Views]) -> tuple[Distances, Distances]:
    """Return distances as the tracker measures them in a camera: between a crop and the mean of a track's other crops.

    Returns:
        (G,) genuine and (M,) impostor distances; the latter are sampled as in `track_distances`.
    """
    labels = _Labels(views)
    rivals = [labels.differing(row) & labels.in_camera_of(row) for row in range(len(views))]
    drawn = _Drawn(
        sum(int(others.sum()) * len(view.embeddings) for view, others in zip(views, rivals, strict=True))
    )
    genuine: list[float] = []
    impostor: list[Distances] = []
    means = np.array([unit(view.embeddings.mean(axis=0)) for view in views])
    for view, others in zip(views, rivals, strict=True):
        count = len(view.embeddings)
        for crop in range(count if count > 1 else 0):
            rest = np.delete(view.embeddings, crop, axis=0)
            genuine.append(1 - float(unit(rest.mean(axis=0)) @ view.embeddings[crop]))
        if others.any():
            impostor.append(drawn.of(1 - (means[others] @ view.embeddings.T).ravel()))
    return np.array(genuine), _joined(impostor)


class _Labels:
    """The persons and cameras of many views as arrays, for comparing one view with all."""

    def __init__(self, views: Sequence[Views]) -> None:
        self._views = views
        self._persons = np.array([view.person for view in views], np.int64)
        _, self._cameras = np.unique([view.camera for view in views], return_inverse=True)

    def differing(self, row: int) -> BoolArray:
        """Return (N,) whether each view certainly shows a different person than view `row`; see `Views.not_persons`."""
        known = self._views[row].not_persons
        if known is None:
            return np.asarray(self._persons != self._persons[row])
        return np.isin(self._persons, np.array(sorted(known - {self._views[row].person}), np.int64))

    def in_camera_of(self, row: int) -> BoolArray:
        """Return (N,) whether each view is from the camera of view `row`."""
        return np.asarray(self._cameras == self._cameras[row])

    def same_person(self, row: int) -> BoolArray:
        """Return (N,) whether each view shows the person of view `row`; the view itself does."""
        return np.asarray(self._persons == self._persons[row])


class _Drawn:
    """Keeps all of `total` distances or, if they are too many, a sample that is the same every time."""

    def __init__(self, total: int) -> None:
        self._share = MAX_IMPOSTOR_PAIRS / total if total > MAX_IMPOSTOR_PAIRS else 1.0
        self._rng = np.random.default_rng(0)
        if self._share < 1:
            logger.warning(
                "of %d pairs of two people a random %.1f %% are measured, about %d",
                total,
                100 * self._share,
                MAX_IMPOSTOR_PAIRS,
            )

    def of(self, distances: Distances) -> Distances:
        """Return those of the next `distances` (M,) that are in the sample."""
        return distances if self._share == 1 else distances[self._rng.random(len(distances)) < self._share]


def _joined(parts: Sequence[Distances]) -> Distances:
    """Return one array (M,) float64: a limit between two neighbouring float32 values would round to one of them."""
    return np.concatenate([np.zeros(0), *parts])


def _bank(embeddings: FloatArray, capacity: int, max_similarity: float) -> FloatArray:
    bank = FeatureBank(capacity, max_similarity)
    for embedding in embeddings:
        bank.add(embedding)
    return bank.embeddings
