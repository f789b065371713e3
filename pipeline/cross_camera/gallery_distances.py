"""Distances between the embeddings of undecided tracks and of known identities, computed once and kept up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.datatypes import FloatArray
from pipeline.cross_camera.distances import Array, embedding_distances
from pipeline.cross_camera.identities import IdentityTable
from pipeline.cross_camera.track_record import TrackRecord


@dataclass(eq=False)
class _Kept:
    """The (I,) distances of a track, and the state from which they were computed: `kept` of the track's bank, and
    `stamp` and `generation` of the table."""

    distance: Array
    embeddings: int
    stamp: int
    generation: int


class GalleryDistances:
    """Caches the distances of tracks to all identities.

    The tracks of a tick share one pass over a large gallery. A waiting track is compared again only with changed
    identities.

    Args:
        embedding_of: called with a track; returns its (D,) mean embedding, centred like those of the table, or an empty
            array if the track has no embeddings.
    """

    def __init__(self, identities: IdentityTable, embedding_of: Callable[[TrackRecord], FloatArray]) -> None:
        self._identities = identities
        self._embedding_of = embedding_of
        self._kept: dict[TrackRecord, _Kept] = {}

    def prepare(self, records: Sequence[TrackRecord]) -> None:
        """Compute the missing distances of these tracks in one pass."""
        missing = [record for record in records if not self._is_usable(record)]
        if not missing:
            return
        known = self._identities
        for record, distance in zip(missing, self._distances(missing, known.mean_embedding), strict=True):
            self._kept[record] = _Kept(distance, record.bank.kept, known.stamp, known.generation)

    def of(self, record: TrackRecord) -> Array:
        """Return the (I,) distances of a track, as from `distances.embedding_distances`."""
        self.prepare([record])
        kept, known = self._kept[record], self._identities
        if kept.stamp < known.stamp:
            changed = np.flatnonzero(known.changed > kept.stamp)
            distance = np.full(len(known), np.inf)
            distance[: len(kept.distance)] = kept.distance
            distance[changed] = self._distances([record], known.mean_embedding[changed])[0]
            kept.distance, kept.stamp = distance, known.stamp
        return kept.distance

    def drop(self, record: TrackRecord) -> None:
        """Remove a track whose link is decided."""
        self._kept.pop(record, None)

    def _distances(self, records: Sequence[TrackRecord], others: FloatArray) -> Array:
        """Return the (R, len(others)) distances of tracks with or without embeddings."""
        means = np.zeros((len(records), others.shape[1]), np.float32)
        for row, record in enumerate(records):
            mean = self._embedding_of(record)
            if len(mean) == means.shape[1]:
                means[row] = mean
        return embedding_distances(means, others)

    def _is_usable(self, record: TrackRecord) -> bool:
        kept = self._kept.get(record)
        return (
            kept is not None
            and kept.embeddings == record.bank.kept
            and kept.generation == self._identities.generation
        )
