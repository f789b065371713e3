"""Detections of one camera as a Parquet file: the format, its writer and its reader.

Rows are in frame order, one per detection. A frame without detections has one row whose detection columns are all
null, so every processed frame is in the file, with its time.

| column | type | |
|---|---|---|
| frame_index | int32 | 0-based |
| time_s | float64 | on the clock of the run that wrote it |
| x1, y1, x2, y2 | float32 | left, top, right, bottom in pixels of the full image |
| confidence | float32 | in [0, 1] |
| class_id | int16 | |
| class_name | string | |
| embedding | fixed_size_list<float16>[D] | L2-normalised; null for a box that was not embedded; only files with embeddings have this column |

The file's metadata has one entry "detections": a JSON object with the attributes of `FileInfo`.
"""  # noqa: E501

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.vectors import unit

SCHEMA_VERSION = 1
_METADATA_KEY = "detections"
_CRC_KEY = "detections_crc32"
# What pyarrow raises for a damaged file; ArrowInvalid is a ValueError, and an ArrowKeyError a KeyError.
_UNREADABLE = (
    pa.ArrowException,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)
_ROWS_PER_GROUP = 4096
_BOX_COLUMNS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class FileInfo:
    """The metadata of a file.

    Attributes:
        schema_version: version of the format.
        camera_id: name of the camera in the run that wrote the file.
        size_wh: (width, height) of the frames in pixels.
        frame_rate: frames per second.
        frame_count: number of frames in the file.
        class_names: names of the class ids.
        detector_hash: `model_hash` of the detector.
        embedder_hash: `model_hash` of the embedder; empty without embeddings.
        embedding_dim: D; None without embeddings.
    """

    schema_version: int
    camera_id: str
    size_wh: tuple[int, int]
    frame_rate: float
    frame_count: int
    class_names: dict[int, str]
    detector_hash: str
    embedder_hash: str
    embedding_dim: int | None


class DetectionWriter:
    """Writes frames one after another, in row groups; the file can be read after it is closed.

    As a context manager it also closes the file when the run fails; the file then holds the frames up to that point.

    Raises:
        ValueError: only one of `embedder_hash` and `embedding_dim` is given.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        camera_id: str,
        size_wh: tuple[int, int],
        frame_rate: float,
        class_names: Mapping[int, str],
        detector_hash: str,
        embedder_hash: str = "",
        embedding_dim: int | None = None,
    ) -> None:
        if bool(embedder_hash) != (embedding_dim is not None):
            raise ValueError("embedder_hash and embedding_dim must be given together")
        self._info = FileInfo(
            schema_version=SCHEMA_VERSION,
            camera_id=camera_id,
            size_wh=size_wh,
            frame_rate=frame_rate,
            frame_count=0,
            class_names=dict(class_names),
            detector_hash=detector_hash,
            embedder_hash=embedder_hash,
            embedding_dim=embedding_dim,
        )
        self._schema = _schema(embedding_dim)
        self._target = pa.OSFile(os.fsencode(path), "wb")  # a name need not be text in UTF-8
        self._writer = pq.ParquetWriter(
            self._target, self._schema, compression="zstd", use_dictionary=["class_name"], write_page_checksum=True
        )
        self._pending: list[tuple[int, float, Detections]] = []
        self._pending_rows = 0
        self._last_index = -1
        self._frame_count = 0

    def write(self, frame: Frame, detections: Detections) -> None:
        """Append the detections of the next frame; raise ValueError unless its index is above that of the last one."""
        if frame.frame_index <= self._last_index:
            raise ValueError(f"frame index {frame.frame_index} after {self._last_index}: they must increase")
        self._last_index = frame.frame_index
        self._pending.append((frame.frame_index, frame.time_s, detections))
        self._pending_rows += max(len(detections), 1)
        self._frame_count += 1
        if self._pending_rows >= _ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write the remaining rows and the metadata; closing twice is harmless."""
        if not self._writer.is_open:
            return
        self._write_group()
        info = {**asdict(self._info), "frame_count": self._frame_count}
        text = json.dumps(info)
        self._writer.add_key_value_metadata({_METADATA_KEY: text, _CRC_KEY: str(zlib.crc32(text.encode()))})
        self._writer.close()
        self._target.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write_group(self) -> None:
        if self._pending:
            self._writer.write_table(self._table())
            self._pending, self._pending_rows = [], 0

    def _table(self) -> pa.Table:
        repeats = [max(len(detections), 1) for _, _, detections in self._pending]
        # One row per detection, and one row of nulls for a frame without detections.
        absent = np.repeat([len(detections) == 0 for _, _, detections in self._pending], repeats)

        def column(values: list[NDArray[Any]], dtype: pa.DataType) -> pa.Array:
            full = np.zeros((len(absent), *values[0].shape[1:]), values[0].dtype)
            full[~absent] = np.concatenate(values)
            return pa.array(full, dtype, mask=absent)

        found = [detections for _, _, detections in self._pending]
        xyxy = [detections.xyxy for detections in found]
        class_ids = [detections.class_id for detections in found]
        names = self._info.class_names
        columns = {
            "frame_index": pa.array(np.repeat([index for index, _, _ in self._pending], repeats), pa.int32()),
            "time_s": pa.array(np.repeat([time_s for _, time_s, _ in self._pending], repeats), pa.float64()),
            **{
                name: column([boxes[:, side] for boxes in xyxy], pa.float32())
                for side, name in enumerate(_BOX_COLUMNS)
            },
            "confidence": column([detections.confidence for detections in found], pa.float32()),
            "class_id": column(class_ids, pa.int16()),
            "class_name": column(
                [np.array([names[int(i)] for i in ids], object) for ids in class_ids], pa.string()
            ),
        }
        if self._info.embedding_dim is not None:
            columns["embedding"] = self._embedding_column(absent, found, self._info.embedding_dim)
        return pa.table(columns, schema=self._schema)

    @staticmethod
    def _embedding_column(absent: NDArray[np.bool_], found: list[Detections], dim: int) -> pa.Array:
        values = np.zeros((len(absent), dim), np.float16)
        embedded = np.zeros(len(absent), np.bool_)
        values[~absent] = np.concatenate(
            [np.zeros((len(d), dim), np.float32) if d.embeddings is None else d.embeddings for d in found]
        )
        embedded[~absent] = np.concatenate(
            [np.zeros(len(d), np.bool_) if d.embedded is None else d.embedded for d in found]
        )
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dim, mask=pa.array(~embedded))


class SavedDetections:
    """Reads a file that `DetectionWriter` wrote; at most one row group is in memory.

    Attributes:
        info: the metadata of the file.

    Raises:
        InputError: the file is missing, incomplete, or of another format.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if not self._path.is_file():
            raise InputError(
                f"the saved detections {path} do not exist; check the path, or save them in a run first"
            )
        try:
            # Mapped into memory: a damaged length would be allocated otherwise.
            mapped = pa.memory_map(os.fsencode(self._path))
            self._file = pq.ParquetFile(mapped, page_checksum_verification=True)
        except _UNREADABLE as error:
            raise InputError(
                f"{path} is not a complete Parquet file: the run that wrote it was killed, or it is something else"
            ) from error
        self.info = self._read_info()
        try:
            if not self._file.schema_arrow.equals(_schema(self.info.embedding_dim)):
                raise ValueError("it has other columns")
            groups = [
                self._file.metadata.row_group(i).column(0).statistics for i in range(self._file.num_row_groups)
            ]
            # last frame index of each group
            self._group_ends = np.array([group.max for group in groups], np.int64)
            if (np.diff(self._group_ends) < 0).any():
                raise ValueError("its frames are not in order")
        except _UNREADABLE as error:
            raise self._damaged(error) from error
        self._group = -1
        self._rows: dict[str, NDArray[Any]] = {}

    @property
    def path(self) -> str:
        """Path of the file."""
        return str(self._path)

    @property
    def last_frame_index(self) -> int:
        """Index of the last saved frame; -1 if there is none."""
        return int(self._group_ends[-1]) if len(self._group_ends) else -1

    def at(self, frame_index: int) -> Detections:
        """Return the detections of a frame; fast if frames are requested in order.

        Raises:
            InputError: the frame is not in the file, or its rows are not valid boxes.
        """
        return self._detections(self._rows_of(frame_index))

    def time_s_of(self, frame_index: int) -> float:
        """Return the time of a frame in the recording from which it was saved; errors as `at`."""
        rows = self._rows_of(frame_index)
        return float(self._rows["time_s"][rows][0])

    def _rows_of(self, frame_index: int) -> slice:
        """Return which of `self._rows` belong to a frame, after reading its row group."""
        group = int(np.searchsorted(self._group_ends, frame_index))
        if group < len(self._group_ends):
            if group != self._group:
                self._rows, self._group = self._read_group(group), group
            indices = self._rows["frame_index"]
            first, end = np.searchsorted(indices, [frame_index, frame_index + 1])
            if first < end:
                return slice(first, end)
        raise InputError(
            f"{self.path} has no frame index {frame_index} (it holds {self.info.frame_count} frames): the "
            "detections were saved from another recording, or from a shorter run of this one"
        )

    def times(self) -> Iterator[tuple[int, float]]:
        """Yield (frame index, time in seconds) of every frame, in order."""
        previous = -1
        batches = self._file.iter_batches(columns=["frame_index", "time_s"])
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                batch.validate(full=True)
                indices, times_s = batch["frame_index"].to_numpy(), batch["time_s"].to_numpy()
                if (np.diff(indices, prepend=previous) < 0).any() or not np.isfinite(times_s).all():
                    raise ValueError("frames are not in order, or a time is not a number")
            except _UNREADABLE as error:
                raise self._damaged(error) from error
            for index, time_s in zip(indices.tolist(), times_s.tolist(), strict=True):
                if index != previous:
                    yield index, time_s
                previous = index

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close(force=True)

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self.path} is damaged ({_first_words(error)}); save the detections again")

    def _read_info(self) -> FileInfo:
        metadata = self._file.metadata.metadata or {}
        stored = metadata.get(_METADATA_KEY.encode())
        crc = metadata.get(_CRC_KEY.encode())
        try:
            values: dict[str, Any] = json.loads(stored) if stored else {}
            version = values.get("schema_version", "something else")
            if version == SCHEMA_VERSION:
                # Files of earlier versions of the program have no checksum.
                if crc is not None and crc != str(zlib.crc32(stored or b"")).encode():
                    raise ValueError("the checksum of its metadata is wrong")
                width, height = values["size_wh"]
                values["size_wh"] = (int(width), int(height))
                values["class_names"] = {int(key): str(name) for key, name in values["class_names"].items()}
                info = FileInfo(**values)
                if info.embedding_dim is not None and info.embedding_dim < 1:
                    raise ValueError(f"embedding_dim is {info.embedding_dim}")
                if not 0 < info.frame_rate < math.inf:
                    raise ValueError(f"frame_rate is {info.frame_rate}")
                return info
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error
        raise InputError(
            f"{self.path}: expected saved detections of format {SCHEMA_VERSION}, but found {version}; save the "
            "detections again"
        )

    def _read_group(self, group: int) -> dict[str, NDArray[Any]]:
        """Return the columns of a row group as arrays: xyxy (N, 4) float32, embedding (N, D) float32, ..."""
        try:
            table = self._file.read_row_group(group).combine_chunks()
            table.validate(full=True)
        except _UNREADABLE as error:
            raise self._damaged(error) from error
        if (np.diff(table["frame_index"].to_numpy()) < 0).any():
            raise self._damaged(ValueError("its frames are not in order"))
        unknown = set(table["class_id"].unique().to_pylist()) - self.info.class_names.keys() - {None}
        if unknown:
            raise self._damaged(ValueError(f"class id {min(unknown)} has no name"))
        rows = {
            name: table[name].to_numpy(zero_copy_only=False)
            for name in ("frame_index", "time_s", *_BOX_COLUMNS, "confidence", "class_id")
        }
        if not np.isfinite(rows["time_s"]).all():
            raise self._damaged(ValueError("a time is not a number"))
        xyxy = np.stack([rows.pop(name) for name in _BOX_COLUMNS], axis=1).astype(np.float32)
        present = table["x1"].is_valid().to_numpy(zero_copy_only=False)
        confidence = rows["confidence"]
        good = (
            np.isfinite(xyxy).all(axis=1)
            & (xyxy[:, 2:] >= xyxy[:, :2]).all(axis=1)
            & ((confidence >= 0) & (confidence <= 1))
        )
        bad = np.flatnonzero(present & ~good)
        if len(bad):
            row = int(bad[0])
            before = sum(self._file.metadata.row_group(i).num_rows for i in range(group))
            raise InputError(
                f"{self.path}, row {before + row} (from 0): {xyxy[row].tolist()} with confidence "
                f"{confidence[row]} is not a box xyxy with a confidence in 0..1; save the detections again"
            )
        if self.info.embedding_dim is not None:
            lists = table["embedding"].combine_chunks()
            rows["embedded"] = lists.is_valid().to_numpy(zero_copy_only=False)
            # `flatten` drops nulls, so it gives only the embedded rows.
            values = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.info.embedding_dim)
            rows["embedding"] = np.zeros((len(xyxy), self.info.embedding_dim), np.float32)
            rows["embedding"][rows["embedded"]] = unit(values.astype(np.float32))
        return {**rows, "xyxy": xyxy, "present": present}

    def _detections(self, rows: slice) -> Detections:
        values = {name: column[rows] for name, column in self._rows.items()}
        present = values["present"]
        embeddings = values["embedding"][present] if "embedding" in values else None
        return Detections(
            xyxy=values["xyxy"][present],
            confidence=values["confidence"][present].astype(np.float32),
            class_id=values["class_id"][present].astype(np.int64),
            embeddings=embeddings,
            embedded=None if embeddings is None else values["embedded"][present],
        )


def _first_words(error: Exception) -> str:
    """Return an error as a part of one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _schema(embedding_dim: int | None) -> pa.Schema:
    fields = [
        pa.field("frame_index", pa.int32(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        *(pa.field(name, pa.float32()) for name in (*_BOX_COLUMNS, "confidence")),
        pa.field("class_id", pa.int16()),
        pa.field("class_name", pa.string()),
    ]
    if embedding_dim is not None:
        fields.append(pa.field("embedding", pa.list_(pa.float16(), embedding_dim)))
    return pa.schema(fields)
