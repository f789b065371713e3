"""One Parquet table with the columns of trajectories.csv as numbers, dates and truth values, and names of people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.datatypes import LinkedRow
from pipeline.files.whole_files import FILE_MODE, replacing

_WORDS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("global_id", pa.int64(), nullable=False),
        pa.field("camera_id", _WORDS, nullable=False),
        pa.field("track_id", pa.int64(), nullable=False),
        pa.field("frame_index", pa.int64(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("utc", pa.timestamp("ms", tz="UTC")),
        pa.field("class_name", _WORDS, nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in ("x1", "y1", "x2", "y2")),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("link_confidence", pa.float64(), nullable=False),
        pa.field("link_state", _WORDS, nullable=False),
        pa.field("interpolated", pa.bool_(), nullable=False),
        pa.field("world_x_m", pa.float64()),
        pa.field("world_y_m", pa.float64()),
        pa.field("name", _WORDS),
    ]
)
_ROWS_OF_A_GROUP = 100_000


def write_parquet(
    path: Path, rows: Iterable[LinkedRow], epoch_utc: datetime | None, names: Mapping[int, str]
) -> int:
    """Write the table, with some rows in memory at a time, and return their number.

    Args:
        path: replaced atomically; readable by its owner only.
        epoch_utc: date and time of second 0; None leaves the column utc empty.
        names: of people by global id; the column name is empty for everybody else.

    Raises:
        OSError: it cannot be written; an old file stays.
    """
    count = 0
    iterator = iter(rows)
    with (
        replacing(path, mode=FILE_MODE) as part,
        pa.OSFile(os.fsencode(part), "wb") as file,
        pq.ParquetWriter(file, SCHEMA, compression="zstd", write_page_checksum=True) as writer,
    ):
        while group := list(islice(iterator, _ROWS_OF_A_GROUP)):
            writer.write_table(_table(group, epoch_utc, names))
            count += len(group)
    return count


def _table(rows: list[LinkedRow], epoch_utc: datetime | None, names: Mapping[int, str]) -> pa.Table:
    columns = zip(*(_values(linked, epoch_utc, names) for linked in rows), strict=True)
    arrays = [
        pa.array(values, pa.string()).dictionary_encode().cast(field.type)
        if field.type == _WORDS
        else pa.array(values, field.type)
        for values, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _values(linked: LinkedRow, epoch_utc: datetime | None, names: Mapping[int, str]) -> Iterator[object]:
    row, link = linked
    yield link.global_id
    yield row.camera_id
    yield row.track_id
    yield row.frame_index
    yield row.time_s
    # Rounded like the column of the CSV.
    yield None if epoch_utc is None else (epoch_utc + timedelta(seconds=round(row.time_s, 3))).astimezone(UTC)
    yield row.class_name
    yield from row.xyxy
    yield row.confidence
    yield link.confidence
    yield "final" if link.final else "provisional"
    yield row.interpolated
    yield from row.world_xy_m or (None, None)
    yield names.get(link.global_id)
