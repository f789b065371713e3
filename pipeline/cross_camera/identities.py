"""The identities that a track can join: their features, places and times, as arrays over all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.floor_path import slot_of
from pipeline.cross_camera.gallery import Gallery
from pipeline.datatypes import BoolArray, FloatArray, IntArray

# Time slots of floor positions kept for each identity: the last 10 s.
_FLOOR_SLOTS = 40
_NO_SLOT = np.iinfo(np.int64).min
# The features are by far the largest array; growing it a row at a time would copy them all for every new person.
_GROWTH_ROWS = 64


class IdentityTable:
    """Bounded in number and, through `forget`, in time; row order is of no meaning.

    Attributes (I identities, C cameras, F features each, D values each):
        global_id: (I,) int64.  class_id: (I,) int64.
        last_seen_s: (I, C) float64, -inf where never seen.
        has_feature: (I, F) bool, which features exist.
        changed: (I,) int64, the value of `stamp` after the identity's features last changed.
        stamp: counts the changes of features, new identities included.
        generation: counts the times that rows moved, or all features were centred anew.
        last_floor_s, last_floor_xy_m: (I,) and (I, 2), NaN without a floor position.
    """

    def __init__(
        self, cameras: int, features_per_identity: int, max_similarity: float, centres: CameraCentres
    ) -> None:
        self._max_similarity = max_similarity
        self._centres = centres
        self._row_of: dict[int, int] = {}
        self.global_id: IntArray = np.zeros(0, np.int64)
        self.class_id: IntArray = np.zeros(0, np.int64)
        self.last_seen_s: NDArray[np.float64] = np.zeros((0, cameras))
        self._features: FloatArray = np.zeros((0, features_per_identity, 0), np.float32)
        self._centred: FloatArray = self._features
        self._feature_camera: IntArray = np.zeros((0, features_per_identity), np.int64)
        self.has_feature: BoolArray = np.zeros((0, features_per_identity), np.bool_)
        self.changed: IntArray = np.zeros(0, np.int64)
        self.stamp = 0
        self.generation = 0
        self.last_floor_s: NDArray[np.float64] = np.zeros(0)
        self.last_floor_xy_m: NDArray[np.float64] = np.zeros((0, 2))
        self._floor_slot: IntArray = np.zeros((0, _FLOOR_SLOTS), np.int64)
        self._floor_xy_m: NDArray[np.float64] = np.zeros((0, _FLOOR_SLOTS, 2))

    def __len__(self) -> int:
        return len(self.global_id)

    def __contains__(self, global_id: int) -> bool:
        return global_id in self._row_of

    @property
    def features(self) -> FloatArray:
        """(I, F, D) float32, centred for their cameras; rows without a feature are arbitrary."""
        return self._centred[: len(self)]

    def centre(self) -> None:
        """The cameras' centres have changed: all features are centred anew."""
        self._centred = self._centres.centred(self._features, self._feature_camera).copy()
        self.generation += 1

    def add_camera(self) -> None:
        """Another camera, after all others; it has seen nobody yet."""
        column = np.full((len(self), 1), -np.inf)
        self.last_seen_s = np.concatenate([self.last_seen_s, column], axis=1)

    def add(self, global_id: int, class_id: int) -> None:
        """A new identity, without features yet."""
        self._row_of[global_id] = len(self)
        cameras = self.last_seen_s.shape[1]
        self.global_id = np.append(self.global_id, np.int64(global_id))
        self.class_id = np.append(self.class_id, np.int64(class_id))
        self.last_seen_s = np.concatenate([self.last_seen_s, np.full((1, cameras), -np.inf)])
        if len(self) > len(self._features):
            more = np.zeros((_GROWTH_ROWS, *self._features.shape[1:]), np.float32)
            self._features = np.concatenate([self._features, more])
            self._centred = np.concatenate([self._centred, more])
            cameras_of_more = np.zeros(more.shape[:2], np.int64)
            self._feature_camera = np.concatenate([self._feature_camera, cameras_of_more])
        self.has_feature = np.concatenate([self.has_feature, np.zeros((1, self.has_feature.shape[1]), np.bool_)])
        self.stamp += 1
        self.changed = np.append(self.changed, np.int64(self.stamp))
        self.last_floor_s = np.append(self.last_floor_s, np.nan)
        self.last_floor_xy_m = np.concatenate([self.last_floor_xy_m, np.full((1, 2), np.nan)])
        self._floor_slot = np.concatenate([self._floor_slot, np.full((1, _FLOOR_SLOTS), _NO_SLOT, np.int64)])
        self._floor_xy_m = np.concatenate([self._floor_xy_m, np.zeros((1, _FLOOR_SLOTS, 2))])

    def see(self, global_ids: Sequence[int], camera: int, time_s: float) -> None:
        """These identities have a box in camera number `camera`."""
        self.last_seen_s[[self._row_of[global_id] for global_id in global_ids], camera] = time_s

    def add_floor(self, global_id: int, time_s: float, xy_m: tuple[float, float]) -> None:
        """The identity stands at `xy_m`."""
        row, slot = self._row_of[global_id], slot_of(time_s)
        # The past of a track that joined late does not replace what is newer.
        if slot >= self._floor_slot[row, slot % _FLOOR_SLOTS]:
            self._floor_slot[row, slot % _FLOOR_SLOTS] = slot
            self._floor_xy_m[row, slot % _FLOOR_SLOTS] = xy_m
        if not time_s < self.last_floor_s[row]:
            self.last_floor_s[row] = time_s
            self.last_floor_xy_m[row] = xy_m

    def add_feature(self, global_id: int, embedding: FloatArray, camera: int) -> None:
        """Keep an embedding (D,) of camera number `camera` unless a kept one is nearly the same; when full, the most
        similar one goes."""
        if self._features.shape[2] == 0:
            self._features = np.zeros((*self._features.shape[:2], len(embedding)), np.float32)
            self._centred = self._features.copy()
        row = self._row_of[global_id]
        similarity = np.where(self.has_feature[row], self._features[row] @ embedding, -np.inf)
        if similarity.max() > self._max_similarity:
            return
        free = np.flatnonzero(~self.has_feature[row])
        place = int(free[0]) if len(free) else int(similarity.argmax())
        self._features[row, place] = embedding
        self._centred[row, place] = self._centres.centred(embedding, camera)
        self._feature_camera[row, place] = camera
        self.stamp += 1
        self.changed[row] = self.stamp
        self.has_feature[row, place] = True

    def gallery(self, camera_ids: Sequence[str], next_id: int) -> Gallery:
        """A copy of everything that is of use after a restart."""
        return Gallery(
            camera_ids=tuple(camera_ids),
            next_id=next_id,
            global_id=self.global_id.copy(),
            class_id=self.class_id.copy(),
            last_seen_s=self.last_seen_s.copy(),
            features=self._features[: len(self)].copy(),
            has_feature=self.has_feature.copy(),
            feature_camera=self._feature_camera[: len(self)].copy(),
            centres=self._centres.state(),
            last_floor_s=self.last_floor_s.copy(),
            last_floor_xy_m=self.last_floor_xy_m.copy(),
        )

    def restore(self, gallery: Gallery, columns: Sequence[int]) -> None:
        """Add the identities of `gallery`, whose cameras have the numbers `columns` here; this table is empty."""
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
        """How far each identity was from a path at the same times.

        Args:
            slots, xy_m: (P,) time slots and (P, 2) positions of the path.

        Returns:
            (I,) median distance in metres, NaN without a shared slot, and (I,) number of shared slots.
        """
        if not len(self) or not len(slots):
            return np.full(len(self), np.nan), np.zeros(len(self), np.int64)
        place = slots % _FLOOR_SLOTS
        shared = self._floor_slot[:, place] == slots[None, :]
        apart = np.linalg.norm(self._floor_xy_m[:, place] - xy_m[None], axis=-1)
        count = shared.sum(axis=1)
        ordered = np.sort(np.where(shared, apart, np.inf), axis=1)
        middle = np.maximum(count - 1, 0) // 2
        median = ordered[np.arange(len(self)), middle]
        return np.where(count > 0, median, np.nan), count

    def forget(self, now_s: float, memory_s: float, max_count: int, keep: set[int]) -> None:
        """Drop identities unseen for `memory_s`, then the longest unseen beyond `max_count`; none in `keep`."""
        seen = self.last_seen_s.max(axis=1, initial=-np.inf)
        kept = np.isin(self.global_id, list(keep))
        stay = kept | (seen >= now_s - memory_s)
        surplus = int(stay.sum()) - max_count
        if surplus > 0:
            candidates = np.flatnonzero(stay & ~kept)
            stay[candidates[np.argsort(seen[candidates], kind="stable")[:surplus]]] = False
        if stay.all():
            return
        self._features, self.has_feature = self._features[: len(self)][stay], self.has_feature[stay]
        self._centred = self.features[stay]
        self._feature_camera = self._feature_camera[: len(self)][stay]
        self.changed = self.changed[stay]
        self.generation += 1
        self.global_id, self.class_id = self.global_id[stay], self.class_id[stay]
        self.last_seen_s = self.last_seen_s[stay]
        self.last_floor_s, self.last_floor_xy_m = self.last_floor_s[stay], self.last_floor_xy_m[stay]
        self._floor_slot, self._floor_xy_m = self._floor_slot[stay], self._floor_xy_m[stay]
        self._row_of = {int(global_id): row for row, global_id in enumerate(self.global_id)}
