"""Distances between the embeddings of undecided tracks and of known identities, computed once and kept up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.cross_camera.distances import Array, embedding_distances
from pipeline.cross_camera.identities import IdentityTable
from pipeline.cross_camera.track_record import TrackRecord

# A track that more than this share of the identities changed for is compared with all of them again, in one pass with
# other such tracks.
_MANY_CHANGED = 0.5


@dataclass(eq=False)
class _Kept:
    """The (I,) distances of a track, and the state from which they were computed: its (D,) mean embedding, `kept` of
    its bank, `version` of its camera mean, and `stamp` and `generation` of the table."""

    mean: FloatArray
    distance: Array
    embeddings: int
    version: int
    stamp: int
    generation: int


class GalleryDistances:
    """Caches the distances of tracks to all identities.

    The tracks of a tick share one pass over a large gallery. A waiting track is compared again only with changed
    identities.

    Args:
        embedding_of: called with a track; returns its (D,) mean embedding, centred like those of the table, or an empty
            array if the track has no embeddings.
        version_of: called with a track; returns a number that changes with the mean of its camera.
    """

    def __init__(
        self,
        identities: IdentityTable,
        embedding_of: Callable[[TrackRecord], FloatArray],
        version_of: Callable[[TrackRecord], int],
    ) -> None:
        self._identities = identities
        self._embedding_of = embedding_of
        self._version_of = version_of
        self._kept: dict[TrackRecord, _Kept] = {}

    def prepare(self, records: Sequence[TrackRecord]) -> None:
        """Compute the missing distances of these tracks in one pass."""
        missing = []
        behind: dict[int, list[TrackRecord]] = {}
        for record in records:
            if not self._is_usable(record):
                missing.append(record)
            elif self._kept[record].stamp < self._identities.stamp:
                behind.setdefault(self._kept[record].stamp, []).append(record)
        known = self._identities
        for stamp, others in behind.items():
            changed = np.flatnonzero(known.changed > stamp)
            if len(changed) > _MANY_CHANGED * len(known):
                missing += others
            else:
                self._update(others, changed)
        if not missing:
            return
        means = np.zeros((len(missing), known.mean_embedding.shape[1]), np.float32)
        for row, record in enumerate(missing):
            mean = self._embedding_of(record)
            if len(mean) == means.shape[1]:
                means[row] = mean
        distances = embedding_distances(means, known.mean_embedding, known.mean_length)
        for record, mean, distance in zip(missing, means, distances, strict=True):
            version = self._version_of(record)
            self._kept[record] = _Kept(mean, distance, record.bank.kept, version, known.stamp, known.generation)

    def of(self, record: TrackRecord) -> Array:
        """Return the (I,) distances of a track, as from `distances.embedding_distances`."""
        self.prepare([record])
        return self._kept[record].distance

    def drop(self, record: TrackRecord) -> None:
        """Remove a track whose link is decided."""
        self._kept.pop(record, None)

    def _update(self, records: Sequence[TrackRecord], changed: IntArray) -> None:
        """Compare tracks again with the identities of the rows `changed`, which include all new ones."""
        known = self._identities
        fresh = None
        if len(changed):
            means = np.stack([self._kept[record].mean for record in records])
            fresh = embedding_distances(means, known.mean_embedding[changed], known.mean_length[changed])
        for row, record in enumerate(records):
            kept = self._kept[record]
            kept.stamp = known.stamp
            if fresh is None:
                continue
            distance = np.full(len(known), np.inf)
            distance[: len(kept.distance)] = kept.distance
            distance[changed] = fresh[row]
            kept.distance = distance

    def _is_usable(self, record: TrackRecord) -> bool:
        kept = self._kept.get(record)
        return (
            kept is not None
            and kept.embeddings == record.bank.kept
            and kept.version == self._version_of(record)
            and kept.generation == self._identities.generation
        )
