"""Checks whether the rows of a tracklet file are as they were written: their CRC-32, and values that a run writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray

_NUMBERS = "<qqddqqq"
_PLAIN = ("track_id", "class_id", "start_s", "end_s", "observations")


def checksum(row: Mapping[str, Any]) -> int:
    """Return the CRC-32 of everything in a row; ValueError, TypeError or struct.error if it is no tracklet."""
    embeddings = np.array(row["embeddings"], np.float16)
    floor_s, floor_xy_m = np.array(row["floor_time_s"], np.float64), np.array(row["floor_xy_m"], np.float64)
    numbers = [row[name] for name in _PLAIN]
    return _crc(row["camera_id"], numbers, len(embeddings), embeddings, floor_s, floor_xy_m)


def _crc(
    camera_id: str,
    numbers: Sequence[float],
    count: int,
    embeddings: NDArray[np.float16],
    floor_s: NDArray[np.float64],
    floor_xy_m: NDArray[np.float64],
) -> int:
    packed = struct.pack(_NUMBERS, *numbers, count, len(floor_s))
    crc = zlib.crc32(camera_id.encode() + packed)
    for array in (embeddings, floor_s, floor_xy_m):
        crc = zlib.crc32(array.tobytes(), crc)
    return crc


def is_intact(row: Mapping[str, Any], camera_ids: Sequence[str]) -> bool:
    """Return whether a row is a tracklet of one of the cameras, and is as it was written."""
    try:
        if "crc32" in row and row["crc32"] != checksum(row):
            return False
        embeddings = np.array(row["embeddings"], np.float64)
        floor = np.array(row["floor_xy_m"], np.float64).reshape(-1, 2)
        floor_s = np.array(row["floor_time_s"], np.float64)
        return bool(
            row["camera_id"] in camera_ids
            and row["track_id"] is not None
            and row["class_id"] is not None
            and row["observations"] is not None
            and np.isfinite([row["start_s"], row["end_s"]]).all()
            and embeddings.ndim in (1, 2)
            and (embeddings.ndim == 2 or not embeddings.size)
            and np.isfinite(embeddings).all()
            and len(floor) == len(floor_s)
            and np.isfinite(floor).all()
            and np.isfinite(floor_s).all()
        )
    except (ValueError, TypeError, AttributeError, struct.error):
        return False


@dataclass(frozen=True, eq=False)
class EmbeddingColumn:
    """The embeddings of the rows of a batch, as they are in memory.

    Attributes:
        values: (K, D) float16, those of all rows, one row after the other.
        first: (N + 1,) int64; row i has the embeddings `first[i]` to `first[i + 1] - 1`.
    """

    values: NDArray[np.float16]
    first: IntArray

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> EmbeddingColumn | None:
        """Return the embeddings of a validated batch; None if they are missing or not all of one length."""
        column = batch.column("embeddings")
        if column.null_count or column.values.null_count:
            return None
        first = _offsets(column)
        if first[-1] == first[0]:
            return cls(np.zeros((0, 0), np.float16), first - first[0])
        vectors = column.values
        numbers = _numbers(vectors)
        if numbers is None:
            return None
        places = _offsets(vectors)[first[0] : first[-1] + 1]
        lengths = np.diff(places)
        if (lengths != lengths[0]).any():
            return None
        values = numbers[places[0] : places[-1]].reshape(len(lengths), int(lengths[0]))
        return cls(np.asarray(values, np.float16), first - first[0])


def all_intact(batch: pa.RecordBatch, camera_ids: Sequence[str]) -> bool:
    """Return whether all rows of a validated batch are certainly intact; much faster than `is_intact` for each row.

    False means only that the rows have to be checked one by one.
    """
    if any(column.null_count for column in batch.columns):
        return False
    embeddings = EmbeddingColumn.of(batch)
    if embeddings is None:
        return False
    cameras = batch.column("camera_id").to_pylist()
    plain = [batch.column(name).to_numpy() for name in _PLAIN]
    floor: list[tuple[NDArray[np.float64], IntArray]] = []
    for name in ("floor_time_s", "floor_xy_m"):
        numbers, at = _numbers(batch.column(name)), _offsets(batch.column(name))
        if numbers is None:
            return False
        floor.append((numbers[at[0] : at[-1]], at - at[0]))
    (floor_s, time_at), (floor_xy_m, xy_at) = floor
    finite = all(np.isfinite(array).all() for array in (*plain[2:4], embeddings.values, floor_s, floor_xy_m))
    if not (finite and set(cameras) <= set(camera_ids) and (np.diff(xy_at) == 2 * np.diff(time_at)).all()):
        return False
    if "crc32" not in batch.schema.names:
        return True
    first = embeddings.first.tolist()
    stated = batch.column("crc32").to_pylist()
    numbers_of = list(zip(*(array.tolist() for array in plain), strict=True))
    return all(
        stated[row]
        == _crc(
            cameras[row],
            numbers_of[row],
            first[row + 1] - first[row],
            embeddings.values[first[row] : first[row + 1]],
            floor_s[time_at[row] : time_at[row + 1]],
            floor_xy_m[xy_at[row] : xy_at[row + 1]],
        )
        for row in range(batch.num_rows)
    )


# Functions of Arrow for lists, such as `flatten`, abort the process for some damaged files that Arrow has validated.
# The values in memory and the offsets, which it has validated, are enough.
def _offsets(column: pa.ListArray) -> IntArray:
    """Return (N + 1,) where the values of each row begin in `column.values`."""
    if not len(column):  # it may have no offsets in memory
        return np.zeros(1, np.int64)
    return np.asarray(column.offsets.to_numpy(), np.int64)


def _numbers(column: pa.ListArray) -> NDArray[Any] | None:
    """Return `column.values`; None if a value is missing."""
    values = column.values
    if values.null_count:
        return None
    return np.asarray(values.to_numpy()) if len(values) else np.zeros(0)
