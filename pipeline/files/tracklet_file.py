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
import struct
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.datatypes import Tracklet
from pipeline.core.errors import InputError, RunError
from pipeline.core.vectors import unit

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
        self._waiting: list[Tracklet] = []
        self._flushed_s = -math.inf
        self.count = 0

    def write(self, tracklet: Tracklet) -> None:
        """Add a tracklet; it is on disk after `flush`, or after at most 31 more tracklets."""
        self._waiting.append(tracklet)
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
        rows: list[dict[str, Any]] = [
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
            for t in self._waiting
        ]
        self._waiting = []
        for row in rows:
            row["crc32"] = _checksum(row)
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
        return (batch for batch, _ in self.with_rows())

    def with_rows(self) -> Iterator[tuple[pa.RecordBatch, list[dict[str, Any]]]]:
        """Iterate over the batches with their rows as Python objects, which take long to make twice."""
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

    def _intact(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[dict[str, Any]], int]:
        """Return the intact rows of a batch in two forms, and the number of all its rows, 1 if it cannot be known."""
        try:
            batch.validate(full=True)
            rows = batch.to_pylist()
        except _UNREADABLE:
            return pa.RecordBatch.from_pylist([], schema=self.schema), [], 1
        good = [_is_intact(row, self.info.camera_ids) for row in rows]
        if all(good):
            return batch, rows, len(rows)
        kept = [row for row, stays in zip(rows, good, strict=True) if stays]
        return batch.filter(pa.array(good, pa.bool_())), kept, len(rows)


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


def _checksum(row: Mapping[str, Any]) -> int:
    """Return the CRC-32 of everything in a row; ValueError, TypeError or struct.error if it is no tracklet."""
    embeddings = np.array(row["embeddings"], np.float16)
    numbers = struct.pack(
        "<qqddqqq",
        row["track_id"],
        row["class_id"],
        row["start_s"],
        row["end_s"],
        row["observations"],
        len(embeddings),
        len(row["floor_time_s"]),
    )
    crc = zlib.crc32(row["camera_id"].encode() + numbers)
    if "partial" in row:
        crc = zlib.crc32(struct.pack("<?", row["partial"]), crc)
    crc = zlib.crc32(embeddings.tobytes(), crc)
    crc = zlib.crc32(np.array(row["floor_time_s"], np.float64).tobytes(), crc)
    return zlib.crc32(np.array(row["floor_xy_m"], np.float64).tobytes(), crc)


def _is_intact(row: Mapping[str, Any], camera_ids: Sequence[str]) -> bool:
    """Return whether a row is a tracklet of one of the cameras, and is as it was written."""
    try:
        if "crc32" in row and row["crc32"] != _checksum(row):
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
