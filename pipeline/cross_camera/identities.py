"""The identities that a track can join: their features, floor positions and times, as arrays over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, FloatArray, IntArray
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.distances import mean_embedding
from pipeline.cross_camera.floor_path import slot_of
from pipeline.cross_camera.gallery import Gallery

# Time slots of floor positions kept for each identity: the last 10 s.
_FLOOR_SLOTS = 40
_NO_SLOT = np.iinfo(np.int64).min
# Rows are added in blocks of this size: adding one by one would copy everything for every new person.
_GROWTH_ROWS = 64


@dataclass(eq=False)
class _Columns:
    """Arrays with a row for each identity and spare rows; see `IdentityTable`.

    feature, centred: (I, F, D), embeddings as given and with their camera means subtracted. feature_camera: (I, F).
    mean_embedding: (I, D), mean of the centred features.
    floor_slot, floor_xy_m: (I, S) and (I, S, 2), the time slot of each position.
    """

    global_id: IntArray
    class_id: IntArray
    last_seen_s: NDArray[np.float64]
    feature: FloatArray
    centred: FloatArray
    mean_embedding: FloatArray
    feature_camera: IntArray
    has_feature: BoolArray
    changed: IntArray
    last_floor_s: NDArray[np.float64]
    last_floor_xy_m: NDArray[np.float64]
    floor_slot: IntArray
    floor_xy_m: NDArray[np.float64]

    @classmethod
    def empty(cls, cameras: int, features: int) -> _Columns:
        return cls(
            global_id=np.zeros(0, np.int64),
            class_id=np.zeros(0, np.int64),
            last_seen_s=np.zeros((0, cameras)),
            feature=np.zeros((0, features, 0), np.float32),
            centred=np.zeros((0, features, 0), np.float32),
            mean_embedding=np.zeros((0, 0), np.float32),
            feature_camera=np.zeros((0, features), np.int64),
            has_feature=np.zeros((0, features), np.bool_),
            changed=np.zeros(0, np.int64),
            last_floor_s=np.zeros(0),
            last_floor_xy_m=np.zeros((0, 2)),
            floor_slot=np.zeros((0, _FLOOR_SLOTS), np.int64),
            floor_xy_m=np.zeros((0, _FLOOR_SLOTS, 2)),
        )

    @property
    def room(self) -> int:
        """Number of rows, with the spare ones."""
        return len(self.global_id)

    def resize(self, rows: int) -> None:
        """Make room for `rows` identities; the first ones are kept."""
        for column in fields(self):
            old = getattr(self, column.name)
            new = np.zeros((rows, *old.shape[1:]), old.dtype)
            new[: len(old)] = old[:rows]
            setattr(self, column.name, new)

    def move(self, source: IntArray, target: IntArray) -> None:
        """Copy the rows `source` to the rows `target`."""
        for column in fields(self):
            array = getattr(self, column.name)
            array[target] = array[source]


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
        features: (I, F, D) float32, centred with their camera means; rows without a feature are arbitrary.
        mean_embedding: (I, D) float32, the mean of the features, of length 1; 0 without features.
        has_feature: (I, F) bool, which features exist.
        changed: (I,) int64, the value of `stamp` after the identity's features last changed.
        stamp: counts the changes of features, including new identities.
        generation: counts how often rows moved or all features were centred again.
        last_floor_s, last_floor_xy_m: (I,) and (I, 2), NaN without a floor position.
    """

    def __init__(
        self, cameras: int, features_per_identity: int, max_similarity: float, centres: CameraCentres
    ) -> None:
        self._max_similarity = max_similarity
        self._centres = centres
        self._row_of: dict[int, int] = {}
        self._columns = _Columns.empty(cameras, features_per_identity)
        self.stamp = 0
        self.generation = 0

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def global_id(self) -> IntArray:
        return self._columns.global_id[: len(self)]

    @property
    def class_id(self) -> IntArray:
        return self._columns.class_id[: len(self)]

    @property
    def last_seen_s(self) -> NDArray[np.float64]:
        return self._columns.last_seen_s[: len(self)]

    @property
    def features(self) -> FloatArray:
        return self._columns.centred[: len(self)]

    @property
    def mean_embedding(self) -> FloatArray:
        return self._columns.mean_embedding[: len(self)]

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

    def centre(self) -> None:
        """Centre all features again, after the camera means have changed."""
        columns = self._columns
        columns.centred = self._centres.centred(columns.feature, columns.feature_camera).copy()
        for row in np.flatnonzero(self.has_feature.any(axis=1)).tolist():
            self._update_mean(row)
        self.generation += 1

    def _update_mean(self, row: int) -> None:
        columns = self._columns
        columns.mean_embedding[row] = mean_embedding(columns.centred[row][columns.has_feature[row]])

    def add_camera(self) -> None:
        """Add a camera, after all others; it has seen nobody yet."""
        columns = self._columns
        never = np.full((columns.room, 1), -np.inf)
        columns.last_seen_s = np.concatenate([columns.last_seen_s, never], axis=1)

    def add(self, global_id: int, class_id: int) -> None:
        """Add a new identity, without features."""
        columns, row = self._columns, len(self)
        if row == columns.room:
            columns.resize(row + _GROWTH_ROWS)
        self._row_of[global_id] = row
        self.stamp += 1
        columns.global_id[row] = global_id
        columns.class_id[row] = class_id
        columns.last_seen_s[row] = -np.inf
        columns.mean_embedding[row] = 0.0
        columns.has_feature[row] = False
        columns.changed[row] = self.stamp
        columns.last_floor_s[row] = np.nan
        columns.last_floor_xy_m[row] = np.nan
        columns.floor_slot[row] = _NO_SLOT

    def see(self, global_ids: Sequence[int], camera: int, time_s: float) -> None:
        """Record that these identities have a box in camera number `camera` at `time_s`."""
        self.last_seen_s[[self._row_of[global_id] for global_id in global_ids], camera] = time_s

    def add_floor(self, global_id: int, time_s: float, xy_m: tuple[float, float]) -> None:
        """Record that the identity stands at the floor position `xy_m` at `time_s`."""
        row, slot, columns = self._row_of[global_id], slot_of(time_s), self._columns
        # The past of a track that joined late must not replace newer positions.
        if slot >= columns.floor_slot[row, slot % _FLOOR_SLOTS]:
            columns.floor_slot[row, slot % _FLOOR_SLOTS] = slot
            columns.floor_xy_m[row, slot % _FLOOR_SLOTS] = xy_m
        if not time_s < self.last_floor_s[row]:
            self.last_floor_s[row] = time_s
            self.last_floor_xy_m[row] = xy_m

    def add_feature(self, global_id: int, embedding: FloatArray, camera: int) -> None:
        """Keep an embedding (D,) of camera number `camera` unless a kept one is nearly the same; if there is no room,
        it replaces the most similar one."""
        columns = self._columns
        if columns.feature.shape[2] == 0:
            columns.feature = np.zeros((*columns.feature.shape[:2], len(embedding)), np.float32)
            columns.centred = columns.feature.copy()
            columns.mean_embedding = np.zeros((columns.room, len(embedding)), np.float32)
        row = self._row_of[global_id]
        similarity = np.where(columns.has_feature[row], columns.feature[row] @ embedding, -np.inf)
        if similarity.max() > self._max_similarity:
            return
        free = np.flatnonzero(~columns.has_feature[row])
        place = int(free[0]) if len(free) else int(similarity.argmax())
        columns.feature[row, place] = embedding
        columns.centred[row, place] = self._centres.centred(embedding, camera)
        columns.feature_camera[row, place] = camera
        self.stamp += 1
        columns.changed[row] = self.stamp
        columns.has_feature[row, place] = True
        self._update_mean(row)

    def gallery(self, camera_ids: Sequence[str], next_id: int) -> Gallery:
        """Return a copy of everything that is needed after a restart."""
        return Gallery(
            camera_ids=tuple(camera_ids),
            next_id=next_id,
            global_id=self.global_id.copy(),
            class_id=self.class_id.copy(),
            last_seen_s=self.last_seen_s.copy(),
            features=self._columns.feature[: len(self)].copy(),
            has_feature=self.has_feature.copy(),
            feature_camera=self._columns.feature_camera[: len(self)].copy(),
            centres=self._centres.state(),
            last_floor_s=self.last_floor_s.copy(),
            last_floor_xy_m=self.last_floor_xy_m.copy(),
        )

    def restore(self, gallery: Gallery, columns: Sequence[int]) -> None:
        """Add the identities of `gallery`, whose cameras have the numbers `columns` here; this table must be empty."""
        for row, global_id in enumerate(gallery.global_id.tolist()):
            self.add(global_id, int(gallery.class_id[row]))
            self.last_seen_s[row, columns] = gallery.last_seen_s[row]
            kept = gallery.has_feature[row]
            for feature, camera in zip(
                gallery.features[row][kept], gallery.feature_camera[row][kept].tolist(), strict=True
            ):
                self.add_feature(global_id, feature, columns[camera])
            self.last_floor_s[row] = gallery.last_floor_s[row]
            self.last_floor_xy_m[row] = gallery.last_floor_xy_m[row]

    def floor_distance_m(self, slots: IntArray, xy_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], IntArray]:
        """Return the distance of each identity from a path at the same times.

        Args:
            slots, xy_m: (P,) time slots and (P, 2) positions of the path.

        Returns:
            (I,) median distance in metres, NaN without a shared slot, and (I,) number of shared slots.
        """
        if not len(self) or not len(slots):
            return np.full(len(self), np.nan), np.zeros(len(self), np.int64)
        place = slots % _FLOOR_SLOTS
        floor_slot, floor_xy_m = self._columns.floor_slot[: len(self)], self._columns.floor_xy_m[: len(self)]
        shared = floor_slot[:, place] == slots[None, :]
        apart = np.linalg.norm(floor_xy_m[:, place] - xy_m[None], axis=-1)
        count = shared.sum(axis=1)
        ordered = np.sort(np.where(shared, apart, np.inf), axis=1)
        middle = np.maximum(count - 1, 0) // 2
        median = ordered[np.arange(len(self)), middle]
        return np.where(count > 0, median, np.nan), count

    def forget(self, now_s: float, memory_s: float, max_count: int, keep: set[int]) -> None:
        """Drop identities that were not seen for `memory_s`. If more than `max_count` remain, drop those not seen for
        longest. Identities in `keep` are never dropped."""
        seen = self.last_seen_s.max(axis=1, initial=-np.inf)
        kept = np.isin(self.global_id, list(keep))
        stay = kept | (seen >= now_s - memory_s)
        surplus = int(stay.sum()) - max_count
        if surplus > 0:
            candidates = np.flatnonzero(stay & ~kept)
            stay[candidates[np.argsort(seen[candidates], kind="stable")[:surplus]]] = False
        if stay.all():
            return
        # The last rows fill the gaps, so that not everything is copied.
        count, columns = int(stay.sum()), self._columns
        columns.move(count + np.flatnonzero(stay[count:]), np.flatnonzero(~stay[:count]))
        self._row_of = {global_id: row for row, global_id in enumerate(columns.global_id[:count].tolist())}
        if columns.room > 2 * count + _GROWTH_ROWS:
            columns.resize(count)
        self.generation += 1
