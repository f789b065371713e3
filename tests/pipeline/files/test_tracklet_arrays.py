"""Tracklets as arrays are the same as one by one, also in damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError
from pipeline.files.tracklet_checks import all_intact, is_intact
from pipeline.files.tracklet_file import read_tracklet_arrays, read_tracklets
from tests.helpers.factories import make_tracklet, one_hot
from tests.pipeline.files.test_tracklet_file import some, write


def as_arrays(path: Path) -> list[tuple[int, int, float, float, int, list[list[float]]]]:
    return [
        (
            int(part.track_id[row]),
            int(part.class_id[row]),
            float(part.start_s[row]),
            float(part.end_s[row]),
            int(part.observations[row]),
            part.embeddings[part.first[row] : part.first[row + 1]].tolist(),
        )
        for part in read_tracklet_arrays(path)
        for row in range(len(part))
    ]


def one_by_one(path: Path) -> list[tuple[int, int, float, float, int, list[list[float]]]]:
    return [
        (t.track_id, t.class_id, t.start_s, t.end_s, t.observations, t.embeddings.tolist())
        for t in read_tracklets(path)
    ]


def test_both_ways_of_reading_agree(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow", [*some(70), make_tracklet("hall", 71), make_tracklet("hall", 72)])
    assert as_arrays(path) == one_by_one(path)
    assert len(as_arrays(path)) == 72


def test_a_batch_without_embeddings(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow", [make_tracklet("hall", n) for n in (1, 2)])
    (part,) = read_tracklet_arrays(path)
    assert part.counts.tolist() == [0, 0]
    assert len(part.embeddings) == 0


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 100_000), st.integers(1, 255))
def test_they_agree_about_damaged_files(tmp_path: Path, place: int, change: int) -> None:
    path = tmp_path / "t.arrow"
    if not path.exists():
        write(path, some(40))
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= change
    damaged = tmp_path / "damaged.arrow"
    damaged.write_bytes(bytes(data))
    try:
        expected = one_by_one(damaged)
    except InputError:
        return
    assert as_arrays(damaged) == expected


def test_a_whole_batch_is_intact_only_if_every_row_is(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow", [make_tracklet("hall", n, embeddings=one_hot(n)) for n in range(1, 6)])
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_stream(file)
        batch = next(batch for batch in reader if batch.num_rows)
    assert all_intact(batch, ["hall"])
    assert not all_intact(batch, ["yard"])
    rows = batch.to_pylist()
    for name, value in (("track_id", 9), ("end_s", float("nan")), ("observations", None), ("crc32", 0)):
        changed = [{**rows[0], name: value}, *rows[1:]]
        other = pa.RecordBatch.from_pylist(changed, schema=batch.schema)
        assert not all_intact(other, ["hall"])
        assert [is_intact(row, ["hall"]) for row in changed] == [False, True, True, True, True]
    assert np.isfinite(batch.column("end_s").to_numpy()).all()
