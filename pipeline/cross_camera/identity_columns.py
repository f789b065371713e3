"""Arrays with a row for each identity, which grow and shrink with the number of identities."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, FloatArray, IntArray

# Time slots of floor positions kept for each identity: the last 10 s.
FLOOR_SLOTS = 40
# Rows of the arrays are added by this share of those in use, and at least by this number, so that few additions copy.
_GROWTH, _GROWTH_ROWS = 0.25, 64
# Embeddings take nearly all memory. They are in blocks of this number of identities, which are never copied.
_BLOCK_ROWS = 256


class FeatureBlocks:
    """The embeddings of identities, (F, D) for each row, in blocks."""

    def __init__(self, features: int) -> None:
        self._shape = (features, 0)
        self._blocks: list[FloatArray] = []

    @property
    def dim(self) -> int:
        """Length D of an embedding; 0 before the first."""
        return self._shape[1]

    def set_dim(self, dim: int) -> None:
        """Set the length of embeddings, before the first one."""
        self._shape = (self._shape[0], dim)
        self._blocks = [np.zeros((_BLOCK_ROWS, *self._shape), np.float32) for _ in self._blocks]

    def __getitem__(self, row: int) -> FloatArray:
        """Return the (F, D) embeddings of a row, which can be changed in place."""
        found: FloatArray = self._blocks[row // _BLOCK_ROWS][row % _BLOCK_ROWS]
        return found

    def of(self, rows: IntArray) -> FloatArray:
        """Return a copy (R, F, D) of the embeddings of some rows."""
        result = np.empty((len(rows), *self._shape), np.float32)
        for place, row in enumerate(rows.tolist()):
            result[place] = self[row]
        return result

    def hold(self, rows: int) -> None:
        """Keep blocks for `rows` rows."""
        blocks = -(-rows // _BLOCK_ROWS)
        del self._blocks[blocks:]
        while len(self._blocks) < blocks:
            self._blocks.append(np.zeros((_BLOCK_ROWS, *self._shape), np.float32))


@dataclass(eq=False)
class Columns:
    """Arrays with a row for each identity and spare rows; see `IdentityTable`.

    seen_by: (C, I), when each camera saw the identity last; one camera is compared with all identities, so its times
    are adjacent. seen_s: (I,), the newest of these times. seen_last_by: (I,), the camera that it is of, the first one
    among equal times.
    mean_embedding, mean_length: (I, D) and (I,), mean of the centred features, and its length.
    feature_camera, feature_version: (I, F), the camera of each feature, and the version of its mean that `length` is
    for. length: (I, F), of each feature after the camera mean was subtracted.
    floor_slot, floor_xy_m: (I, S) and (I, S, 2), the time slot of each position. newest_slot: (I,), the last of them.
    """

    global_id: IntArray
    class_id: IntArray
    seen_by: NDArray[np.float64] = field(metadata={"axis": 1})
    seen_s: NDArray[np.float64]
    seen_last_by: IntArray
    mean_embedding: FloatArray
    mean_length: FloatArray
    feature_camera: IntArray
    feature_version: NDArray[np.int32]
    length: FloatArray
    has_feature: BoolArray
    changed: IntArray
    last_floor_s: NDArray[np.float64]
    last_floor_xy_m: NDArray[np.float64]
    floor_slot: IntArray
    floor_xy_m: NDArray[np.float64]
    newest_slot: IntArray
    feature: FeatureBlocks

    @classmethod
    def empty(cls, cameras: int, features: int) -> Columns:
        """Return columns without rows."""
        return cls(
            global_id=np.zeros(0, np.int64),
            class_id=np.zeros(0, np.int64),
            seen_by=np.zeros((cameras, 0)),
            seen_s=np.zeros(0),
            seen_last_by=np.zeros(0, np.int64),
            mean_embedding=np.zeros((0, 0), np.float32),
            mean_length=np.zeros(0, np.float32),
            feature_camera=np.zeros((0, features), np.int64),
            feature_version=np.zeros((0, features), np.int32),
            length=np.zeros((0, features), np.float32),
            has_feature=np.zeros((0, features), np.bool_),
            changed=np.zeros(0, np.int64),
            last_floor_s=np.zeros(0),
            last_floor_xy_m=np.zeros((0, 2)),
            floor_slot=np.zeros((0, FLOOR_SLOTS), np.int64),
            floor_xy_m=np.zeros((0, FLOOR_SLOTS, 2)),
            newest_slot=np.zeros(0, np.int64),
            feature=FeatureBlocks(features),
        )

    @property
    def room(self) -> int:
        """Number of rows, with the spare ones."""
        return len(self.global_id)

    def grow(self, rows: int) -> None:
        """Make room for `rows` identities and some more."""
        if rows > self.room:
            self._resize(rows + max(int(rows * _GROWTH), _GROWTH_ROWS))
        self.feature.hold(rows)

    def shrink(self, rows: int) -> None:
        """Free what `rows` identities do not need, unless that is little."""
        if self.room > 2 * rows + _GROWTH_ROWS:
            self._resize(rows)
        self.feature.hold(rows)

    def _resize(self, rows: int) -> None:
        for column in fields(self):
            old = getattr(self, column.name)
            if isinstance(old, FeatureBlocks):
                continue
            axis = column.metadata.get("axis", 0)
            shape = list(old.shape)
            shape[axis] = rows
            new = np.zeros(shape, old.dtype)
            kept = min(old.shape[axis], rows)
            new.swapaxes(0, axis)[:kept] = old.swapaxes(0, axis)[:kept]
            setattr(self, column.name, new)

    def move(self, source: IntArray, target: IntArray) -> None:
        """Copy the rows `source` to the rows `target`."""
        for column in fields(self):
            array = getattr(self, column.name)
            if isinstance(array, FeatureBlocks):
                for old, new in zip(source.tolist(), target.tolist(), strict=True):
                    array[new][:] = array[old]
            else:
                rows = array.swapaxes(0, column.metadata.get("axis", 0))
                rows[target] = rows[source]
