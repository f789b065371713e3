"""The identities that a track can join: their features, floor positions and times, as arrays over all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, FloatArray, IntArray
from pipeline.core.vectors import unit
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.floor_path import slot_of
from pipeline.cross_camera.gallery import Gallery
from pipeline.cross_camera.identity_columns import FLOOR_SLOTS, Columns
from pipeline.cross_camera.identity_limit import Forgotten

_NO_SLOT = np.iinfo(np.int64).min
# Identities whose features are centred in one piece: they fit into the cache of a processor.
_CENTRED_TOGETHER = 16


class IdentityTable:
    """The table of identities. `forget` limits their number and age; the order of rows has no meaning.

    Args:
        cameras: number of cameras.
        features_per_identity: largest number of embeddings kept of an identity.
        max_similarity: as in `FeatureBank`.
        centres: the camera means.

    Attributes (I identities, C cameras, F features of D values per identity):
        global_id: (I,) int64.  class_id: (I,) int64.
        last_seen_s: (I, C) float64, -inf where never seen.
        seen_s: (I,) float64, when any camera saw it last.  seen_last_by: (I,) int64, the number of that camera.
        features: (I, F, D) float32, a copy, centred with their camera means; rows without a feature are arbitrary.
        mean_embedding: (I, D) float32, the mean of the features, of length 1; 0 without features.
        mean_length: (I,) float32, its length: 1 or 0, but for rounding.
        has_feature: (I, F) bool, which features exist: the first ones.
        changed: (I,) int64, the value of `stamp` after the identity's mean embedding last changed.
        stamp: counts the changes of mean embeddings, including new identities.
        generation: counts how often rows moved.
        last_floor_s, last_floor_xy_m: (I,) and (I, 2), NaN without a floor position.
    """

    def __init__(
        self, cameras: int, features_per_identity: int, max_similarity: float, centres: CameraCentres
    ) -> None:
        self._max_similarity = max_similarity
        self._centres = centres
        self._row_of: dict[int, int] = {}
        self._columns = Columns.empty(cameras, features_per_identity)
        # Rows whose features have changed since their mean was computed; many changes of one row cost one mean.
        self._changed_features: set[int] = set()
        self._centred_up_to = 0
        self._may_be_stale = False
        self.stamp = 0
        self.generation = 0

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding; 0 before the first."""
        return self._columns.feature.dim

    @property
    def global_id(self) -> IntArray:
        return self._columns.global_id[: len(self)]

    @property
    def class_id(self) -> IntArray:
        return self._columns.class_id[: len(self)]

    @property
    def last_seen_s(self) -> NDArray[np.float64]:
        return self._columns.seen_by[:, : len(self)].T

    @property
    def seen_s(self) -> NDArray[np.float64]:
        return self._columns.seen_s[: len(self)]

    @property
    def seen_last_by(self) -> IntArray:
        return self._columns.seen_last_by[: len(self)]

    @property
    def features(self) -> FloatArray:
        rows = np.arange(len(self))
        columns = self._columns
        raw = columns.feature.of(rows)
        return (
            self._centres.without_means(raw, columns.feature_camera[rows])
            / np.where(columns.has_feature[rows], columns.length[rows], 1).astype(np.float32)[..., None]
        )

    @property
    def mean_embedding(self) -> FloatArray:
        self._update_means()
        return self._columns.mean_embedding[: len(self)]

    @property
    def mean_length(self) -> FloatArray:
        self._update_means()
        return self._columns.mean_length[: len(self)]

    @property
    def has_feature(self) -> BoolArray:
        return self._columns.has_feature[: len(self)]

    @property
    def changed(self) -> IntArray:
        return self._columns.changed[: len(self)]

    @property
    def last_floor_s(self) -> NDArray[np.float64]:
        return self._columns.last_floor_s[: len(self)]

    @property
    def last_floor_xy_m(self) -> NDArray[np.float64]:
        return self._columns.last_floor_xy_m[: len(self)]

    def rows_of(self, global_ids: Collection[int]) -> list[int]:
        """Return the rows of those of `global_ids` that are known."""
        row_of = self._row_of
        return [row_of[global_id] for global_id in global_ids if global_id in row_of]

    def centre(self, most: int | None = None, *, means_changed: bool = True) -> None:
        """Centre the features again whose camera means have changed since they were centred.

        Args:
            most: largest number of identities to centre in this call; None for all. The others follow in later calls.
            means_changed: whether a camera mean changed since the last call.
        """
        self._may_be_stale |= means_changed
        if not self._may_be_stale or not len(self):
            return
        columns = self._columns
        version = self._centres.version[columns.feature_camera[: len(self)]]
        stale = np.flatnonzero((self.has_feature & (columns.feature_version[: len(self)] != version)).any(axis=1))
        self._may_be_stale = most is not None and len(stale) > most
        if self._may_be_stale:
            # The next call goes on behind the last one, so that everybody has a turn.
            stale = np.roll(stale, -int(np.searchsorted(stale, self._centred_up_to)))[:most]
            self._centred_up_to = int(stale[-1]) + 1
        if len(stale):
            self.stamp += 1
            columns.changed[stale] = self.stamp
            for begin in range(0, len(stale), _CENTRED_TOGETHER):
                self._centre_rows(stale[begin : begin + _CENTRED_TOGETHER])

    def _centre_rows(self, rows: IntArray) -> None:
        """Centre all features of some rows, and update their means."""
        columns = self._columns
        camera, raw = columns.feature_camera[rows], columns.feature.of(rows)
        columns.length[rows] = self._centres.lengths(raw, camera)
        columns.feature_version[rows] = self._centres.version[camera]
        self._average(rows, raw)

    def _average(self, rows: IntArray, raw: FloatArray) -> None:
        """Update the means of some rows with the features `raw` (R, F, D), whose lengths are known."""
        columns, has = self._columns, self._columns.has_feature[rows]
        count = has.sum(axis=1)
        # What is divided by infinity adds nothing to the sum.
        length = np.where(has, columns.length[rows], np.float32(np.inf))
        centred = self._centres.without_means(raw, columns.feature_camera[rows]) / length[..., None]
        means = centred.sum(axis=1) / np.maximum(count, 1).astype(np.float32)[:, None]
        for row, mean in zip(rows[count > 0].tolist(), means[count > 0], strict=True):
            columns.mean_embedding[row] = unit(mean)
        columns.mean_length[rows] = np.linalg.norm(columns.mean_embedding[rows], axis=1)

    def _update_means(self) -> None:
        """Compute the means of all identities whose features have changed."""
        if not self._changed_features:
            return
        columns, rows = self._columns, np.array(sorted(self._changed_features))
        self._changed_features.clear()
        version = self._centres.version[columns.feature_camera[rows]]
        stale = (columns.has_feature[rows] & (columns.feature_version[rows] != version)).any(axis=1)
        for begin in range(0, len(rows), _CENTRED_TOGETHER):
            part = slice(begin, begin + _CENTRED_TOGETHER)
            again, others = rows[part][stale[part]], rows[part][~stale[part]]
            if len(again):
                self._centre_rows(again)
            if len(others):
                self._average(others, columns.feature.of(others))

    def add_camera(self) -> None:
        """Add a camera, after all others; it has seen nobody yet."""
        columns = self._columns
        never = np.full((1, columns.room), -np.inf)
        columns.seen_by = np.concatenate([columns.seen_by, never])

    def add(self, global_id: int, class_id: int) -> None:
        """Add a new identity, without features."""
        columns, row = self._columns, len(self)
        columns.grow(row + 1)
        self._row_of[global_id] = row
        self.stamp += 1
        columns.global_id[row] = global_id
        columns.class_id[row] = class_id
        columns.seen_by[:, row] = -np.inf
        columns.seen_s[row] = -np.inf
        columns.seen_last_by[row] = 0
        columns.mean_embedding[row] = 0.0
        columns.mean_length[row] = 0.0
        columns.has_feature[row] = False
        columns.changed[row] = self.stamp
        columns.last_floor_s[row] = np.nan
        columns.last_floor_xy_m[row] = np.nan
        columns.floor_slot[row] = _NO_SLOT
        columns.newest_slot[row] = _NO_SLOT

    def see(self, global_ids: Sequence[int], camera: int, time_s: float) -> None:
        """Record that these identities have a box in camera number `camera` at `time_s`."""
        if not global_ids:
            return
        columns, rows = self._columns, [self._row_of[global_id] for global_id in global_ids]
        columns.seen_by[camera, rows] = time_s
        seen_s, by = columns.seen_s[rows], columns.seen_last_by[rows]
        if (seen_s < time_s).all():  # without overlapping views
            columns.seen_s[rows], columns.seen_last_by[rows] = time_s, camera
            return
        columns.seen_s[rows] = np.maximum(seen_s, time_s)
        columns.seen_last_by[rows] = np.where(
            time_s > seen_s, camera, np.where(time_s == seen_s, np.minimum(by, camera), by)
        )

    def add_floor(self, global_id: int, time_s: float, xy_m: tuple[float, float]) -> None:
        """Record that the identity stands at the floor position `xy_m` at `time_s`."""
        row, slot, columns = self._row_of[global_id], slot_of(time_s), self._columns
        # The past of a track that joined late must not replace newer positions.
        if slot >= columns.floor_slot[row, slot % FLOOR_SLOTS]:
            columns.floor_slot[row, slot % FLOOR_SLOTS] = slot
            columns.floor_xy_m[row, slot % FLOOR_SLOTS] = xy_m
            columns.newest_slot[row] = max(columns.newest_slot[row], slot)
        if not time_s < self.last_floor_s[row]:
            self.last_floor_s[row] = time_s
            self.last_floor_xy_m[row] = xy_m

    def add_feature(self, global_id: int, embedding: FloatArray, camera: int) -> None:
        """Keep an embedding (D,) of camera number `camera` unless a kept one is nearly the same; if there is no room,
        it replaces the most similar one."""
        columns = self._columns
        self._set_dim(len(embedding))
        row = self._row_of[global_id]
        count, feature = int(np.count_nonzero(columns.has_feature[row])), columns.feature[row]
        similarity = np.where(columns.has_feature[row], feature @ embedding, -np.inf)
        if similarity.max() > self._max_similarity:
            return
        place = count if count < len(feature) else int(similarity.argmax())
        feature[place] = embedding
        columns.length[row, place] = self._centres.lengths(embedding, camera)
        columns.feature_camera[row, place] = camera
        columns.feature_version[row, place] = self._centres.version[camera]
        self.stamp += 1
        columns.changed[row] = self.stamp
        columns.has_feature[row, place] = True
        self._changed_features.add(row)

    def _set_dim(self, dim: int) -> None:
        columns = self._columns
        if columns.feature.dim == 0:
            columns.feature.set_dim(dim)
            columns.mean_embedding = np.zeros((columns.room, dim), np.float32)

    def gallery(self, camera_ids: Sequence[str], next_id: int) -> Gallery:
        """Return a copy of everything that is needed after a restart."""
        return Gallery(
            camera_ids=tuple(camera_ids),
            next_id=next_id,
            global_id=self.global_id.copy(),
            class_id=self.class_id.copy(),
            last_seen_s=self.last_seen_s.copy(),
            features=self._columns.feature.of(np.arange(len(self))),
            has_feature=self.has_feature.copy(),
            feature_camera=self._columns.feature_camera[: len(self)].copy(),
            centres=self._centres.state(),
            last_floor_s=self.last_floor_s.copy(),
            last_floor_xy_m=self.last_floor_xy_m.copy(),
        )

    def restore(self, gallery: Gallery, columns: Sequence[int]) -> None:
        """Add the identities of `gallery`, whose cameras have the numbers `columns` here; this table must be empty."""
        count, table = len(gallery), self._columns
        if not count:
            return
        table.grow(count)
        self._row_of = {global_id: row for row, global_id in enumerate(gallery.global_id.tolist())}
        self.stamp += 1
        table.global_id[:count] = gallery.global_id
        table.class_id[:count] = gallery.class_id
        table.seen_by[:, :count] = -np.inf
        table.changed[:count] = self.stamp
        table.mean_embedding[:count] = 0.0
        table.mean_length[:count] = 0.0
        table.floor_slot[:count] = _NO_SLOT
        table.newest_slot[:count] = _NO_SLOT
        table.seen_by[columns, :count] = gallery.last_seen_s.T
        seen_s = table.seen_by[:, :count]
        table.seen_s[:count] = seen_s.max(axis=0, initial=-np.inf)
        if len(seen_s):
            table.seen_last_by[:count] = seen_s.argmax(axis=0)
        table.last_floor_s[:count] = gallery.last_floor_s
        table.last_floor_xy_m[:count] = gallery.last_floor_xy_m
        if not gallery.has_feature.any():
            return
        self._set_dim(gallery.features.shape[2])
        camera = np.array([*columns, 0], np.int64)[np.where(gallery.has_feature, gallery.feature_camera, -1)]
        for begin in range(0, count, _CENTRED_TOGETHER):
            self._restore_features(begin, min(begin + _CENTRED_TOGETHER, count), gallery, camera)

    def _restore_features(self, begin: int, end: int, gallery: Gallery, camera: IntArray) -> None:
        """Set the features of the rows `begin` to `end` - 1; `camera` (I, F) are the numbers of their cameras here."""
        table, rows = self._columns, np.arange(begin, end)
        features, has = gallery.features[begin:end], gallery.has_feature[begin:end]
        kept = min(has.shape[1], table.has_feature.shape[1])
        # Features of a table with the same settings are different enough and in the first places.
        in_place = ~(has[:, 1:] & ~has[:, :-1]).any(axis=1) & (has.sum(axis=1) <= kept)
        alike = features @ features.transpose(0, 2, 1) > self._max_similarity
        alike &= has[:, :, None] & has[:, None, :] & np.tri(has.shape[1], k=-1, dtype=np.bool_)
        whole = in_place & ~alike.any(axis=(1, 2))
        for row in rows[whole].tolist():
            table.feature[row][:kept] = gallery.features[row, :kept]
        table.has_feature[rows[whole], :kept] = has[whole, :kept]
        table.feature_camera[rows[whole], :kept] = camera[rows[whole], :kept]
        if whole.any():
            self._centre_rows(rows[whole])
        for row in rows[~whole].tolist():
            own = gallery.has_feature[row]
            for feature, number in zip(gallery.features[row][own], camera[row][own].tolist(), strict=True):
                self.add_feature(int(gallery.global_id[row]), feature, number)

    def floor_distance_m(self, slots: IntArray, xy_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], IntArray]:
        """Return the distance of each identity from a path at the same times.

        Args:
            slots, xy_m: (P,) time slots and (P, 2) positions of the path.

        Returns:
            (I,) median distance in metres, NaN without a shared slot, and (I,) number of shared slots.
        """
        if not len(self) or not len(slots):
            return np.full(len(self), np.nan), np.zeros(len(self), np.int64)
        columns, place = self._columns, slots % FLOOR_SLOTS
        distance_m, counts = np.full(len(self), np.nan), np.zeros(len(self), np.int64)
        # Most of many identities have not been seen since the path began.
        rows = np.flatnonzero(columns.newest_slot[: len(self)] >= slots.min())
        shared = columns.floor_slot[np.ix_(rows, place)] == slots[None, :]
        apart = np.linalg.norm(columns.floor_xy_m[np.ix_(rows, place)] - xy_m[None], axis=-1)
        count = shared.sum(axis=1)
        ordered = np.sort(np.where(shared, apart, np.inf), axis=1)
        median = ordered[np.arange(len(rows)), np.maximum(count - 1, 0) // 2]
        distance_m[rows], counts[rows] = np.where(count > 0, median, np.nan), count
        return distance_m, counts

    def forget(self, now_s: float, memory_s: float, max_count: int, keep: Collection[int]) -> Forgotten:
        """Drop identities that were not seen for `memory_s`. If more than `max_count` remain, drop those not seen for
        longest. Identities in `keep` are never dropped. Return the numbers."""
        seen_s = self.seen_s
        kept = np.zeros(len(self), np.bool_)
        kept[self.rows_of(keep)] = True
        stay = kept | (seen_s >= now_s - memory_s)
        unseen = len(self) - int(stay.sum())
        surplus = int(stay.sum()) - max_count
        if surplus > 0:
            candidates = np.flatnonzero(stay & ~kept)
            stay[candidates[np.argsort(seen_s[candidates], kind="stable")[:surplus]]] = False
        if stay.all():
            return Forgotten()
        forgotten = Forgotten(unseen, len(self) - unseen - int(stay.sum()))
        self._update_means()  # before rows move
        # The last rows fill the gaps, so that not everything is copied.
        count, columns = int(stay.sum()), self._columns
        columns.move(count + np.flatnonzero(stay[count:]), np.flatnonzero(~stay[:count]))
        self._row_of = {global_id: row for row, global_id in enumerate(columns.global_id[:count].tolist())}
        columns.shrink(count)
        self.generation += 1
        return forgotten
