"""Stores finished tracklets on disk, so that the second pass can run again and memory holds none of them.

The file is an Arrow IPC stream: after a kill, everything written before stays readable. Columns: camera_id, track_id,
class_id, start_s, end_s, observations, embeddings (list of float16 vectors), floor_time_s, floor_xy_m (x and y
alternating), partial, crc32. Its metadata holds the cameras in order, the class names and the embedding model's hash,
and their CRC-32; each batch states its number of rows. Files of version 1 have no column `partial`, and none of their
tracklets is partial.

Arrow stores no checksums and trusts the offsets in a file. A damaged file is therefore checked in three steps: the
layout by Arrow, each row by its CRC-32, and the end by its position. What fails is left out and counted.
"""

from __future__ import annotations

import heapq
import json
import logging
import math
import os
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray, Tracklet
from pipeline.core.errors import InputError, RunError
from pipeline.core.vectors import unit
from pipeline.files.tracklet_checks import EmbeddingColumn, all_intact, checksum, is_intact

_FIRST_COLUMNS = [
    ("camera_id", pa.string()),
    ("track_id", pa.int64()),
    ("class_id", pa.int64()),
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("observations", pa.int64()),
    ("embeddings", pa.list_(pa.list_(pa.float16()))),
    ("floor_time_s", pa.list_(pa.float64())),
    ("floor_xy_m", pa.list_(pa.float64())),
]
_COLUMNS = [*_FIRST_COLUMNS, ("partial", pa.bool_())]
_CRC_COLUMN = ("crc32", pa.uint32())
_log = logging.getLogger(__name__)

_SCHEMA_VERSION = 2
# Version -> its columns, with and without checksums; the first files had none.
_SCHEMAS = {
    1: ([*_FIRST_COLUMNS, _CRC_COLUMN], _FIRST_COLUMNS),
    2: ([*_COLUMNS, _CRC_COLUMN], None),
}
_METADATA = b"mtmc"
_METADATA_CRC = b"mtmc_crc32"
_BATCH_ROWS = 32
# A kill loses the tracklets that ended in this time.
_FLUSH_INTERVAL_S = 0.5
# What Arrow raises for a damaged file; ArrowInvalid is a ValueError, and an ArrowKeyError a KeyError.
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError)


@dataclass(frozen=True)
class TrackletFileInfo:
    """The metadata of a tracklet file."""

    camera_ids: tuple[str, ...]
    class_names: Mapping[int, str]
    embedder_hash: str


class TrackletWriter:
    """Appends tracklets to a new file; a context manager.

    Raises:
        RunError: the disk is full or the file cannot be written; earlier content is kept.
    """

    def __init__(self, path: Path, info: TrackletFileInfo) -> None:
        metadata = {
            "schema_version": _SCHEMA_VERSION,
            "camera_ids": list(info.camera_ids),
            "class_names": {str(key): name for key, name in info.class_names.items()},
            "embedder_hash": info.embedder_hash,
        }
        self._path = path
        text = json.dumps(metadata).encode()
        self._schema = pa.schema(
            _SCHEMAS[_SCHEMA_VERSION][0], metadata={_METADATA: text, _METADATA_CRC: str(zlib.crc32(text)).encode()}
        )
        with self._writing():
            self._file = pa.OSFile(os.fsencode(path), "wb")
            self._stream = pa.ipc.new_stream(self._file, self._schema)
            # An empty batch writes the schema now; the first tracklets may come long after the first rows of the CSV.
            self._stream.write_batch(pa.RecordBatch.from_pylist([], schema=self._schema))
        self._waiting: list[dict[str, Any]] = []
        self._flushed_s = -math.inf
        self.count = 0

    def write(self, tracklet: Tracklet) -> None:
        """Add a tracklet; it is on disk after `flush`, or after at most 31 more tracklets."""
        t = tracklet
        self.write_row(
            {
                "camera_id": t.camera_id,
                "track_id": t.track_id,
                "class_id": t.class_id,
                "start_s": t.start_s,
                "end_s": t.end_s,
                "observations": t.observations,
                "partial": t.partial,
                "embeddings": list(t.embeddings.astype(np.float16)) if len(t.embeddings) else [],
                "floor_time_s": t.floor_time_s,
                "floor_xy_m": t.floor_xy_m.ravel(),
            }
        )

    def write_row(self, row: Mapping[str, Any]) -> None:
        """Add a tracklet as a row of `IntactBatches`, so that its embeddings stay the same bytes."""
        self._waiting.append({"partial": False, **{name: value for name, value in row.items() if name != "crc32"}})
        self.count += 1
        if len(self._waiting) >= _BATCH_ROWS:
            self.flush()

    def flush_if_due(self, now_s: float) -> None:
        """Flush if the last flush of this kind was at least half a second ago, in the time of the recording.

        So each run of one recording writes the same bytes.

        Args:
            now_s: time of the newest frame.
        """
        if now_s - self._flushed_s >= _FLUSH_INTERVAL_S:
            self._flushed_s = now_s
            self.flush()

    def flush(self) -> None:
        """Write the waiting tracklets."""
        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        for row in rows:
            row["crc32"] = checksum(row)
        with self._writing():
            write_intact(self._stream, pa.RecordBatch.from_pylist(rows, schema=self._schema))

    def close(self) -> None:
        """Write the remaining tracklets and close the file."""
        with self._writing(), self._file, self._stream:
            self.flush()

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self._path} cannot be written ({error}); the tracklets before that are kept. Free space or "
                "choose another --output"
            ) from error

    def __enter__(self) -> TrackletWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_info(path: Path) -> TrackletFileInfo:
    """Read the file's metadata; InputError if it is not a tracklet file."""
    with pa.memory_map(os.fsencode(_existing(path))) as file:
        return _info(path, _open(path, file).schema)


class IntactBatches:
    """Iterates over the record batches of a tracklet file, with their intact rows only.

    A file cut off by a kill gives all complete batches. Each iteration logs what it leaves out.

    Attributes:
        schema: of the file, with its metadata.
        info: the metadata.
        damaged: whether the last iteration left out anything.

    Raises:
        InputError: it is not a tracklet file, or its schema or metadata is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = False
        with pa.memory_map(os.fsencode(_existing(path))) as file:
            self.schema = _open(path, file).schema
            self.info = _info(path, self.schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return (batch for batch, _ in self._batches())

    def with_rows(self) -> Iterator[tuple[pa.RecordBatch, list[dict[str, Any]]]]:
        """Iterate over the batches with their rows as Python objects, which take long to make twice."""
        return ((batch, batch.to_pylist() if rows is None else rows) for batch, rows in self._batches())

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, list[dict[str, Any]] | None]]:
        """Iterate over the batches, with their rows if these had to be made to check them."""
        self.damaged = False
        damaged_rows = 0
        # A memory map: Arrow would allocate as many bytes as a damaged length states before it reads.
        with pa.memory_map(os.fsencode(_existing(self._path))) as file:
            reader = _open(self._path, file)
            size = file.size()
            while True:
                try:
                    batch, stated = reader.read_next_batch_with_custom_metadata()
                except StopIteration:
                    if file.tell() < size:
                        self._cut_off(f"{size - file.tell()} bytes after the {file.tell()}th are no tracklets")
                    break
                except _UNREADABLE as error:
                    self._cut_off(" ".join(str(error).split())[:200])
                    break
                intact, rows, count = self._intact(batch)
                damaged_rows += max(_stated_rows(stated) or 0, count) - intact.num_rows
                yield intact, rows
        if damaged_rows:
            self.damaged = True
            _log.warning("%s: %d tracklets are damaged and left out", self._path, damaged_rows)

    def _cut_off(self, why: str) -> None:
        self.damaged = True
        _log.warning("%s is cut off (%s); the tracklets before that are used", self._path, why)

    def _intact(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[dict[str, Any]] | None, int]:
        """Return the intact rows of a batch, also as Python objects if these were made, and the number of all its rows,
        1 if it cannot be known."""
        try:
            batch.validate(full=True)
            if all_intact(batch, self.info.camera_ids):
                return batch, None, batch.num_rows
            rows = batch.to_pylist()
        except _UNREADABLE:
            return pa.RecordBatch.from_pylist([], schema=self.schema), [], 1
        good = [is_intact(row, self.info.camera_ids) for row in rows]
        if all(good):
            return batch, rows, len(rows)
        kept = [row for row, stays in zip(rows, good, strict=True) if stays]
        return batch.filter(pa.array(good, pa.bool_())), kept, len(rows)


@dataclass(frozen=True, eq=False)
class TrackletArrays:
    """Some tracklets of a file as arrays, without floor positions: N tracklets, with K embeddings of D values in total.

    Attributes:
        camera: (N,) int64, index in `TrackletFileInfo.camera_ids`.
        track_id, class_id, observations: (N,) int64.
        start_s, end_s: (N,) float64.
        embeddings: (K, D) float32, L2-normalised, those of one tracklet after the other.
        first: (N + 1,) int64; tracklet i has the embeddings `first[i]` to `first[i + 1] - 1`, maybe none.
    """

    camera: IntArray
    track_id: IntArray
    class_id: IntArray
    observations: IntArray
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    embeddings: FloatArray
    first: IntArray

    def __len__(self) -> int:
        return len(self.track_id)

    @property
    def counts(self) -> IntArray:
        """(N,) number of embeddings of each tracklet."""
        return np.diff(self.first)


def read_tracklet_arrays(path: Path) -> Iterator[TrackletArrays]:
    """Yield the intact tracklets as `read_tracklets` does, but many times faster: one `TrackletArrays` per batch.

    Embeddings of partial crops are left out, so that such a tracklet has none.

    Raises:
        InputError: it is not a tracklet file, or a tracklet's embeddings have different lengths.
    """
    batches = IntactBatches(path)
    row_of = {camera_id: row for row, camera_id in enumerate(batches.info.camera_ids)}
    for batch in batches:
        if not batch.num_rows:
            continue
        column = EmbeddingColumn.of(batch)
        if column is None:
            raise InputError(f"{path}: its embeddings have different lengths. Track the recordings again")
        # Because of float16 on disk, the length differs slightly from 1.
        embeddings, first = unit(column.values.astype(np.float32)), column.first
        if "partial" in batch.schema.names:
            whole = ~batch.column("partial").to_numpy(zero_copy_only=False).astype(np.bool_)
            counts = np.diff(first)
            embeddings = embeddings[np.repeat(whole, counts)]
            first = np.concatenate([[0], np.cumsum(counts * whole)]).astype(np.int64)
        yield TrackletArrays(
            camera=np.array([row_of[camera_id] for camera_id in batch.column("camera_id").to_pylist()], np.int64),
            embeddings=embeddings,
            first=first,
            **{
                name: batch.column(name).to_numpy()
                for name in ("track_id", "class_id", "observations", "start_s", "end_s")
            },
        )


def read_tracklets(path: Path) -> Iterator[Tracklet]:
    """Yield the intact tracklets in the order in which they ended, with one batch in memory at a time.

    A file cut off by a kill yields all complete batches. What is damaged is left out and logged.

    Raises:
        InputError: it is not a tracklet file.
    """
    for _, rows in IntactBatches(path).with_rows():
        for row in rows:
            embeddings = np.array(row["embeddings"], np.float32)
            yield Tracklet(
                camera_id=row["camera_id"],
                track_id=row["track_id"],
                class_id=row["class_id"],
                start_s=row["start_s"],
                end_s=row["end_s"],
                # Because of float16 on disk, the length differs slightly from 1.
                embeddings=unit(embeddings) if len(embeddings) else np.zeros((0, 0), np.float32),
                floor_time_s=np.array(row["floor_time_s"], np.float64),
                floor_xy_m=np.array(row["floor_xy_m"], np.float64).reshape(-1, 2),
                observations=row["observations"],
                partial=row.get("partial", False),
            )


def write_intact(stream: pa.RecordBatchStreamWriter, batch: pa.RecordBatch) -> None:
    """Write a batch with its number of rows; a damaged length could otherwise hide rows."""
    stream.write_batch(batch, custom_metadata={"rows": str(batch.num_rows)})


@dataclass(frozen=True)
class TrackletFile:
    """The tracklets of a file and others, in the order in which they ended; can be iterated any number of times.

    Attributes:
        more: tracklets that are not in the file, in the order in which they ended.
    """

    path: Path
    more: Sequence[Tracklet] = ()

    def __iter__(self) -> Iterator[Tracklet]:
        own = read_tracklets(self.path)
        return heapq.merge(own, self.more, key=lambda tracklet: tracklet.end_s) if self.more else own


def _existing(path: Path) -> Path:
    """Return `path`; InputError if it is not a file with content, which cannot be mapped into memory."""
    try:
        if path.is_file() and path.stat().st_size:
            with path.open("rb"):
                return path
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    raise _other_file(path)


def _other_file(path: Path) -> InputError:
    return InputError(f"{path}: is not a file of saved tracklets; `track` writes one as tracklets.arrow")


def _open(path: Path, file: pa.MemoryMappedFile) -> pa.RecordBatchStreamReader:
    try:
        reader = pa.ipc.open_stream(file)
        metadata = reader.schema.metadata or {}
    except _UNREADABLE as error:
        raise _other_file(path) from error
    if _METADATA not in metadata:
        raise InputError(f"{path}: is an Arrow file, but not one that `track` wrote as tracklets.arrow")
    return reader


def _info(path: Path, schema: pa.Schema) -> TrackletFileInfo:
    text = schema.metadata[_METADATA]
    damaged = InputError(f"{path}: its schema or metadata is damaged. Track the recordings again, or use a copy")
    try:
        metadata = json.loads(text)
        version = metadata["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged from error
    if version not in _SCHEMAS:
        known = " and ".join(map(str, _SCHEMAS))
        raise InputError(f"{path}: has schema version {version}; this program reads versions {known}")
    with_checksums, without = _SCHEMAS[version]
    checked = schema.equals(pa.schema(with_checksums))
    if not checked and (without is None or not schema.equals(pa.schema(without))):
        raise damaged
    if checked and schema.metadata.get(_METADATA_CRC) != str(zlib.crc32(text)).encode():
        raise damaged
    try:
        return TrackletFileInfo(
            camera_ids=tuple(map(str, metadata["camera_ids"])),
            class_names={int(key): str(name) for key, name in metadata["class_names"].items()},
            embedder_hash=str(metadata["embedder_hash"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged from error


def _stated_rows(metadata: pa.KeyValueMetadata | None) -> int | None:
    """Return the number of rows that a batch states; None without a number."""
    text = None if metadata is None else metadata.get(b"rows")
    return int(text) if text is not None and text.isdigit() else None
