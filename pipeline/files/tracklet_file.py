"""Stores finished tracklets on disk, so that the second pass can run again and memory holds none of them.

The file is an Arrow IPC stream: after a kill, everything written before stays readable. Columns: camera_id, track_id,
class_id, start_s, end_s, observations, embeddings (list of float16 vectors), floor_time_s, floor_xy_m (x and y
alternating). Its metadata holds the cameras in order, the class names and the embedding model's hash.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa

from pipeline.core.datatypes import Tracklet
from pipeline.core.errors import InputError, RunError
from pipeline.core.vectors import unit

_COLUMNS = [
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
_log = logging.getLogger(__name__)

_SCHEMA_VERSION = 1
_BATCH_ROWS = 32


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
        self._schema = pa.schema(_COLUMNS, metadata={"mtmc": json.dumps(metadata)})
        with self._writing():
            self._file = pa.OSFile(str(path), "wb")
            self._stream = pa.ipc.new_stream(self._file, self._schema)
            # An empty batch writes the schema now; the first tracklets may come long after the first rows of the CSV.
            self._stream.write_batch(pa.RecordBatch.from_pylist([], schema=self._schema))
        self._waiting: list[Tracklet] = []
        self.count = 0

    def write(self, tracklet: Tracklet) -> None:
        """Add a tracklet; it is on disk after `flush`, or after at most 31 more tracklets."""
        self._waiting.append(tracklet)
        self.count += 1
        if len(self._waiting) >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the waiting tracklets."""
        if not self._waiting:
            return
        rows = [
            {
                "camera_id": t.camera_id,
                "track_id": t.track_id,
                "class_id": t.class_id,
                "start_s": t.start_s,
                "end_s": t.end_s,
                "observations": t.observations,
                "embeddings": list(t.embeddings.astype(np.float16)) if len(t.embeddings) else [],
                "floor_time_s": t.floor_time_s,
                "floor_xy_m": t.floor_xy_m.ravel(),
            }
            for t in self._waiting
        ]
        self._waiting = []
        with self._writing():
            self._stream.write_batch(pa.RecordBatch.from_pylist(rows, schema=self._schema))

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
    with _open(path) as reader:
        metadata = json.loads(reader.schema.metadata[b"mtmc"])
    return TrackletFileInfo(
        camera_ids=tuple(metadata["camera_ids"]),
        class_names={int(key): name for key, name in metadata["class_names"].items()},
        embedder_hash=metadata["embedder_hash"],
    )


def read_tracklets(path: Path) -> Iterator[Tracklet]:
    """Yield the tracklets in the order in which they ended, with one batch in memory at a time.

    A file cut off by a kill yields all complete batches.

    Raises:
        InputError: it is not a tracklet file.
    """
    with _open(path) as reader:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (pa.ArrowInvalid, OSError) as error:
                _log.warning("%s is cut off (%s); the tracklets before that are used", path, error)
                return
            for row in batch.to_pylist():
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
                )


@dataclass(frozen=True)
class TrackletFile:
    """The tracklets of a file, which can be iterated any number of times; see `read_tracklets`."""

    path: Path

    def __iter__(self) -> Iterator[Tracklet]:
        return read_tracklets(self.path)


def _open(path: Path) -> pa.RecordBatchStreamReader:
    try:
        reader = pa.ipc.open_stream(pa.OSFile(str(path), "rb"))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path}: is not a file of saved tracklets; `track` writes one as tracklets.arrow"
        ) from error
    if not reader.schema.metadata or b"mtmc" not in reader.schema.metadata:
        raise InputError(f"{path}: is an Arrow file, but not one that `track` wrote as tracklets.arrow")
    version = json.loads(reader.schema.metadata[b"mtmc"])["schema_version"]
    if version != _SCHEMA_VERSION:
        raise InputError(f"{path}: has schema version {version}; this program reads version {_SCHEMA_VERSION}")
    return reader
