from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.datatypes import Tracklet
from pipeline.core.errors import InputError, RunError
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter, read_info, read_tracklets
from tests.helpers.factories import at_distance, make_tracklet, one_hot

INFO = TrackletFileInfo(("hall", "gate"), {0: "person", 7: "dog"}, "abc123")


def write(path: Path, tracklets: list[Tracklet]) -> Path:
    with TrackletWriter(path, INFO) as writer:
        for tracklet in tracklets:
            writer.write(tracklet)
        assert writer.count == len(tracklets)
    return path


def some(count: int) -> list[Tracklet]:
    return [make_tracklet("hall", number, number, number + 2.5, one_hot(1, 2)) for number in range(1, count + 1)]


def test_tracklets_come_back_as_they_were(tmp_path: Path) -> None:
    full = make_tracklet(
        "gate",
        3,
        1.25,
        9.75,
        [at_distance(0.3), at_distance(0.9)],
        class_id=7,
        floor_time_s=[1.375, 1.625],
        floor_xy_m=[(1.5, -2.0), (1e6 + 0.25, 3.0)],
    )
    bare = make_tracklet("hall", 1)
    first, second = read_tracklets(write(tmp_path / "tracklets.arrow", [full, bare]))
    for read, written in ((first, full), (second, bare)):
        assert read.key == written.key
        assert (read.class_id, read.start_s, read.end_s) == (written.class_id, written.start_s, written.end_s)
        assert read.observations == written.observations
        assert read.floor_time_s.tolist() == written.floor_time_s.tolist()
        assert read.floor_xy_m.tolist() == written.floor_xy_m.tolist()
        assert read.floor_xy_m.shape == written.floor_xy_m.shape
        assert read.embeddings.dtype == np.float32
        # float16 has 11 bits.
        assert read.embeddings == pytest.approx(written.embeddings, abs=1e-3)
    assert np.linalg.norm(first.embeddings, axis=1) == pytest.approx(1, abs=1e-6)
    assert len(second.embeddings) == 0


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    assert read_info(write(tmp_path / "tracklets.arrow", [])) == INFO
    assert list(read_tracklets(tmp_path / "tracklets.arrow")) == []


def test_many_tracklets_keep_their_order(tmp_path: Path) -> None:
    keys = [tracklet.key for tracklet in read_tracklets(write(tmp_path / "tracklets.arrow", some(100)))]
    assert keys == [("hall", number) for number in range(1, 101)]


def test_a_file_without_an_end_gives_what_was_flushed(tmp_path: Path) -> None:
    writer = TrackletWriter(tmp_path / "tracklets.arrow", INFO)
    for tracklet in some(40):
        writer.write(tracklet)
    # 32 tracklets are one batch; the run is killed with 8 in memory.
    assert len(list(read_tracklets(tmp_path / "tracklets.arrow"))) == 32
    writer.close()
    assert len(list(read_tracklets(tmp_path / "tracklets.arrow"))) == 40


def test_a_file_cut_off_inside_a_batch_gives_the_batches_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "tracklets.arrow", some(100))
    whole = path.read_bytes()
    counts = []
    for share in (0.3, 0.5, 0.7, 0.9, 1.0):
        path.write_bytes(whole[: int(len(whole) * share)])
        counts.append(len(list(read_tracklets(path))))
    assert counts == sorted(counts)
    assert set(counts) <= {0, 32, 64, 96, 100}
    assert counts[0] < counts[-2] < counts[-1] == 100
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 4
    assert "tracklets.arrow is cut off" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is not a file of saved tracklets; `track` writes one", id="empty"),
        pytest.param(b"global_id,camera_id\n", "is not a file of saved tracklets", id="text"),
        pytest.param(None, "is not a file of saved tracklets", id="missing"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "tracklets.arrow"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_info(path)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match=message):
        list(read_tracklets(path))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not one that `track` wrote"),
        ({"mtmc": '{"schema_version": 9}'}, "schema version 9.*reads versions 1 and 2"),
    ],
)
def test_other_arrow_files_are_refused(tmp_path: Path, metadata: dict[str, str] | None, message: str) -> None:
    path = tmp_path / "other.arrow"
    schema = pa.schema([("x", pa.int64())], metadata=metadata)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema):
        pass
    with pytest.raises(InputError, match=message):
        read_info(path)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no[\\/]tracklets\.arrow cannot be written"):
        TrackletWriter(tmp_path / "no" / "tracklets.arrow", INFO)


def test_tracklets_reach_the_disk_after_half_a_second_of_the_recording(tmp_path: Path) -> None:
    writer = TrackletWriter(tmp_path / "tracklets.arrow", INFO)
    counts = []
    for now_s in (10.0, 10.4, 10.6, 10.7, 11.2):
        writer.write(make_tracklet("hall", int(now_s * 10)))
        writer.flush_if_due(now_s)
        counts.append(len(list(read_tracklets(tmp_path / "tracklets.arrow"))))
    assert counts == [1, 1, 3, 3, 5]
    writer.close()


def content(path: Path) -> dict[tuple[str, int], tuple[object, ...]]:
    return {
        tracklet.key: (tracklet.start_s, tracklet.end_s, tracklet.observations, tracklet.embeddings.tobytes())
        for tracklet in read_tracklets(path)
    }


def test_a_changed_value_costs_one_tracklet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "tracklets.arrow", some(10))
    whole, before = path.read_bytes(), content(path)
    at = whole.index(np.array([7.0, 8.0]).tobytes())  # start_s of the 7th and 8th
    path.write_bytes(whole[:at] + np.float64(70.0).tobytes() + whole[at + 8 :])
    left = content(path)
    assert left == {key: value for key, value in before.items() if key != ("hall", 7)}
    assert "tracklets.arrow: 1 tracklets are damaged and left out" in caplog.text


def test_no_lost_or_zeroed_bytes_give_other_tracklets_or_go_unsaid(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "tracklets.arrow", some(40))
    whole, before = path.read_bytes(), content(path)
    for at in range(0, len(whole) - 16, 91):
        for damaged in (whole[:at] + whole[at + 16 :], whole[:at] + bytes(64) + whole[at + 64 :]):
            path.write_bytes(damaged)
            caplog.clear()
            try:
                left = content(path)
            except InputError:
                continue
            assert left.items() <= before.items()
            assert len(left) == len(before) or "left out" in caplog.text or "cut off" in caplog.text


def test_a_damaged_length_is_not_allocated(tmp_path: Path) -> None:
    """The length of the first message stands after the marker 0xFFFFFFFF."""
    path = write(tmp_path / "tracklets.arrow", some(40))
    whole = path.read_bytes()
    marker = whole.index(b"\xff\xff\xff\xff", 8)
    path.write_bytes(whole[: marker + 4] + b"\xff\xff\xff\x7f" + whole[marker + 8 :])
    before = pa.total_allocated_bytes()
    assert len(list(read_tracklets(path))) <= 32
    assert pa.total_allocated_bytes() - before < 10**6


def test_a_file_without_checksums_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "tracklets.arrow", some(3))
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_stream(file).read_all()
    metadata = {**json.loads(table.schema.metadata[b"mtmc"]), "schema_version": 1}
    table = table.drop_columns(["partial", "crc32"]).replace_schema_metadata({"mtmc": json.dumps(metadata)})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    tracklets = list(read_tracklets(path))
    assert [tracklet.key for tracklet in tracklets] == [("hall", 1), ("hall", 2), ("hall", 3)]
    assert not any(tracklet.partial for tracklet in tracklets)


def test_partial_tracklets_are_marked(tmp_path: Path) -> None:
    first, second = some(2)
    path = write(tmp_path / "tracklets.arrow", [first, replace(second, partial=True)])
    assert [tracklet.partial for tracklet in read_tracklets(path)] == [False, True]
