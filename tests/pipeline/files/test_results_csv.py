from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.association.row_buffer import RowBuffer
from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.core.errors import InputError, RunError
from pipeline.cross_camera.feature_bank import FeatureBank
from pipeline.cross_camera.floor_path import FloorPath
from pipeline.cross_camera.track_record import TrackRecord
from pipeline.files.results_csv import COLUMNS, TrajectoryWriter, read_trajectories
from pipeline.files.run_folder import clear_results
from pipeline.recorded.finalize import interpolated, rewrite

EPOCH = datetime(2026, 5, 1, 10, 0, 0, tzinfo=UTC)


def row(
    frame_index: int,
    time_s: float | None = None,
    *,
    camera_id: str = "a",
    track_id: int = 1,
    global_id: int = 1,
    xyxy: tuple[float, float, float, float] = (10, 20, 30, 80),
    world_xy_m: tuple[float, float] | None = None,
    class_name: str = "person",
    final: bool = False,
    link_confidence: float = 0.5,
    confidence: float = 0.9,
) -> LinkedRow:
    """A row at 10 frames per second unless `time_s` says otherwise."""
    return LinkedRow(
        TrajectoryRow(
            camera_id=camera_id,
            track_id=track_id,
            frame_index=frame_index,
            time_s=frame_index / 10 if time_s is None else time_s,
            class_name=class_name,
            xyxy=xyxy,
            confidence=confidence,
            world_xy_m=world_xy_m,
        ),
        Link(global_id, link_confidence, final),
    )


def write(folder: Path, rows: Iterable[LinkedRow], epoch_utc: datetime | None = None) -> Path:
    with TrajectoryWriter(folder, ["a", "b"], epoch_utc) as writer:
        for linked in rows:
            writer.write(linked)
    return folder / "trajectories.csv"


# -- the file --------------------------------------------------------------------------------------------------


def test_the_file_by_hand(tmp_path: Path) -> None:
    rows = [
        row(0, 0.0, xyxy=(1.234, 2, 30.006, 40), world_xy_m=(1.5, -2.0004)),
        row(7, 0.2336, camera_id="b", track_id=12, global_id=3, final=True, link_confidence=0.98765),
    ]
    assert write(tmp_path, rows, EPOCH).read_text().splitlines() == [
        "global_id,camera_id,track_id,frame_index,time_s,utc,class_name,x1,y1,x2,y2,confidence,link_confidence,"
        "link_state,interpolated,world_x_m,world_y_m",
        "1,a,1,0,0.000,2026-05-01T10:00:00.000Z,person,1.23,2.00,30.01,40.00,0.9000,0.500,provisional,0,1.500,-2.000",
        "3,b,12,7,0.234,2026-05-01T10:00:00.234Z,person,10.00,20.00,30.00,80.00,0.9000,0.988,final,0,,",
    ]
    # MOTChallenge counts frames from 1 and wants left, top, width, height.
    assert (tmp_path / "mot" / "a.txt").read_text() == "1,1,1.23,2.00,28.77,38.00,0.9000,-1,-1,-1\n"
    assert (tmp_path / "mot" / "b.txt").read_text() == "8,3,10.00,20.00,20.00,60.00,0.9000,-1,-1,-1\n"


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        row(0, world_xy_m=(1.5, 2.25)),
        row(3, camera_id="b", track_id=5, global_id=9, final=True, class_name="person"),
        row(4, class_name='a "small", red\ncar'),
    ]
    assert list(read_trajectories(write(tmp_path, rows, EPOCH))) == rows
    with (tmp_path / "trajectories.csv").open(newline="") as file:
        assert [len(values) for values in csv.reader(file)] == [len(COLUMNS)] * 4


def test_no_rows_leave_the_header_and_empty_mot_files(tmp_path: Path) -> None:
    assert list(read_trajectories(write(tmp_path, []))) == []
    assert (tmp_path / "mot" / "b.txt").read_text() == ""


def test_time_and_utc_are_rounded_alike(tmp_path: Path) -> None:
    write(tmp_path, (row(index, index / 30) for index in range(90)), EPOCH)
    with (tmp_path / "trajectories.csv").open(newline="") as file:
        for values in csv.DictReader(file):
            moment = datetime.fromisoformat(values["utc"])
            assert f"{(moment - EPOCH).total_seconds():.3f}" == values["time_s"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "is empty, without even a header line", id="empty"),
        pytest.param("a,b\n1,2\n", "the header has no column global_id, camera_id", id="another file"),
        pytest.param(
            ",".join(COLUMNS) + "\n1,a,1\n", "line 2: 3 columns, but the header has 17", id="too few columns"
        ),
        pytest.param(
            ",".join(COLUMNS) + "\nx,a,1,0,0.0,,person,1,2,3,4,0.9,0.5,final,0,,\n",
            "line 2: .*'x'",
            id="text for an id",
        ),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "trajectories.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        list(read_trajectories(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data.replace(b"person", b"p\xffrson"), id="not UTF-8"),
        pytest.param(lambda data: data.replace(b"person", b"p" * 200_000), id="an endless field"),
    ],
)
def test_a_file_that_is_no_csv_is_one_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path, [row(0)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="is not CSV text in UTF-8"):
        list(read_trajectories(path))


def test_scoring_needs_no_times_and_a_floor_has_two_coordinates(tmp_path: Path) -> None:
    path = write(tmp_path, [row(0, world_xy_m=(1.5, 2.25))])
    header, line = (text.split(",") for text in path.read_text().splitlines())
    without = [n for n, name in enumerate(header) if name not in ("time_s", "world_y_m")]
    path.write_text("".join(",".join(text[n] for n in without) + "\n" for text in (header, line)))
    (found,) = read_trajectories(path, strict=True)
    assert math.isnan(found.row.time_s)
    assert found.row.world_xy_m is None
    with pytest.raises(InputError, match="no column time_s"):
        list(read_trajectories(path))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        list(read_trajectories(tmp_path / "none.csv"))


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, [row(index, world_xy_m=(1.234, 5.678)) for index in range(3)])
    # The last number would read as another one.
    path.write_text(path.read_text()[:-3])
    assert [linked.row.frame_index for linked in read_trajectories(path)] == [0, 1]
    assert "trajectories.csv was cut off" in caplog.text
    with pytest.raises(InputError, match="line 4: it has no end, so it may be cut off"):
        list(read_trajectories(path, strict=True))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        pytest.param({"x2": "10.00"}, "the box is 0 px wide and 60 px high", id="no width"),
        pytest.param({"y2": "19.00"}, "the box is 20 px wide and -1 px high", id="upside down"),
        pytest.param({"frame_index": "-1"}, "the frame is 1 before the first", id="before the first"),
        pytest.param({"global_id": "-1"}, "global_id is -1, but ids are not negative", id="nobody"),
    ],
)
def test_what_a_finished_run_never_leaves_is_refused_where_it_matters(
    tmp_path: Path, values: dict[str, str], problem: str
) -> None:
    path = write(tmp_path, [row(0)])
    header, line = (text.split(",") for text in path.read_text().splitlines())
    for name, value in values.items():
        line[header.index(name)] = value
    path.write_text(f"{','.join(header)}\n{','.join(line)}\n")
    assert len(list(read_trajectories(path))) == 1
    with pytest.raises(InputError, match=f"line 2: {problem}"):
        list(read_trajectories(path, strict=True))


def test_columns_in_another_order_and_of_others(tmp_path: Path) -> None:
    rows = [row(0, world_xy_m=(1.5, 2.25)), row(3, camera_id="b", track_id=5, global_id=9, final=True)]
    path = write(tmp_path, rows)
    lines = [text.split(",") for text in path.read_text().splitlines()]
    path.write_text("\ufeff" + "".join(",".join(["note", *reversed(line)]) + "\n\n" for line in lines))
    assert list(read_trajectories(path, strict=True)) == rows
    # Without the columns of links a row is somebody's, provisionally.
    kept = [n for n, name in enumerate(lines[0]) if not name.startswith("link_")]
    path.write_text("".join(",".join(line[n] for n in kept) + "\n" for line in lines))
    links = [linked.link for linked in read_trajectories(path)]
    assert [(link.global_id, link.confidence, link.final) for link in links] == [(1, 1.0, False), (9, 1.0, False)]


def test_rows_reach_the_disk_within_half_a_second_also_if_no_more_come(tmp_path: Path) -> None:
    with TrajectoryWriter(tmp_path, ["a", "b"], None) as writer:
        writer.write(row(0))
        time.sleep(0.55)
        writer.flush_if_due()
        assert len((tmp_path / "trajectories.csv").read_text().splitlines()) == 2
        assert len((tmp_path / "mot" / "a.txt").read_text().splitlines()) == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "trajectories.csv").mkdir()
    with pytest.raises(RunError, match=r"trajectories\.csv cannot be written"):
        TrajectoryWriter(tmp_path, ["a"], None)


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from pipeline.core.errors import RunError
from tests.pipeline.files.test_results_csv import row
from pipeline.files.results_csv import TrajectoryWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    with TrajectoryWriter(Path(sys.argv[1]), ["a", "b"], None) as writer:
        for index in range(10_000):
            writer.write(row(index))
except RunError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_told_with_the_file_and_leaves_whole_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cannot be written: File too large" in done.stdout
    assert str(tmp_path) in done.stdout
    path = tmp_path / "trajectories.csv"
    assert 4000 < path.stat().st_size <= 5000
    assert path.read_bytes().endswith(b"\n")
    frames = [linked.row.frame_index for linked in read_trajectories(path)]
    assert frames == list(range(len(frames)))
    assert (tmp_path / "mot" / "a.txt").read_bytes().endswith(b"\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_file_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "trajectories.csv").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"trajectories\.csv cannot be written: No space left"):
        write(tmp_path, [row(0)])


# -- making room -----------------------------------------------------------------------------------------------


def test_results_are_not_replaced_unless_told_to(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(InputError, match=r"trajectories\.csv already exists\. Use --overwrite"):
        clear_results(tmp_path, overwrite=False)
    assert len(list(read_trajectories(tmp_path / "trajectories.csv"))) == 1
    clear_results(tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["notes.txt"]
    clear_results(tmp_path, overwrite=False)


def test_what_kills_left_half_made_goes_with_the_results(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    write(tmp_path / "rewriting", [row(0)])
    for name in (
        ".trajectories.csv.purging",
        "mot/.a.txt.purging",
        "mot/.a.txt.0123abcd.part",
        "trajectories.part.mp4",
    ):
        (tmp_path / name).write_text("of people")
    with pytest.raises(InputError, match="already exists"):
        clear_results(tmp_path, overwrite=False)
    assert (tmp_path / "rewriting/trajectories.csv").exists()
    clear_results(tmp_path, overwrite=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_output_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    clear_results(tmp_path / "deep" / "down", overwrite=False)
    assert (tmp_path / "deep" / "down").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"output folder .*file cannot be created"):
        clear_results(tmp_path / "file", overwrite=False)


# -- the buffer ------------------------------------------------------------------------------------------------


def _record(camera_id: str, track_id: int) -> TrackRecord:
    return TrackRecord(camera_id, track_id, 0, 0.0, 0.0, FeatureBank(1, 0.9), FeatureBank(1, 0.9), FloorPath(4))


def test_the_buffer_gives_rows_in_order_of_time_camera_and_track_with_the_newest_link() -> None:
    links = {("b", 1): Link(7, 0.5), ("a", 1): Link(8, 0.5), ("a", 2): Link(9, 0.5)}
    buffer = RowBuffer(["b", "a"], lambda record: links[record.camera_id, record.track_id], leave_out_still=True)
    for camera_id, track_id, frame_index in (("a", 2, 1), ("a", 1, 1), ("b", 1, 1), ("b", 1, 3), ("a", 1, 0)):
        buffer.add(row(frame_index, camera_id=camera_id, track_id=track_id).row, _record(camera_id, track_id))
    links["a", 1] = Link(1, 0.9)
    released = buffer.release(0.3)
    assert [(x.row.frame_index, x.row.camera_id, x.row.track_id, x.link.global_id) for x in released] == [
        (0, "a", 1, 1),
        (1, "b", 1, 7),
        (1, "a", 1, 1),
        (1, "a", 2, 9),
    ]
    assert buffer.release(0.3) == []
    assert [x.row.frame_index for x in buffer.release(float("inf"))] == [3]


@pytest.mark.parametrize(("leave_out", "frames"), [(True, [0, 2]), (False, [0, 1, 2])])
def test_rows_of_a_track_that_has_never_moved_are_left_out_if_wanted(leave_out: bool, frames: list[int]) -> None:
    buffer = RowBuffer(["a"], lambda record: Link(1, 0.5), leave_out_still=leave_out)
    record = _record("a", 1)
    buffer.add(row(0, camera_id="a", track_id=1).row, record)
    released = buffer.release(0.05)
    record.still = True
    buffer.add(row(1, camera_id="a", track_id=1).row, record)
    released += buffer.release(0.15)
    record.still = False
    buffer.add(row(2, camera_id="a", track_id=1).row, record)
    assert [x.row.frame_index for x in released + buffer.release(float("inf"))] == frames


# -- final ids -------------------------------------------------------------------------------------------------


def test_rewriting_gives_every_row_its_final_id_and_keeps_all_else(tmp_path: Path) -> None:
    rows = [row(0, world_xy_m=(1.0, 2.0)), row(0, camera_id="b", track_id=4, global_id=2), row(1)]
    write(tmp_path, rows, EPOCH)
    links = {("a", 1): Link(5, 0.8, final=True), ("b", 4): Link(5, 0.7, final=True)}
    count = rewrite(tmp_path, links, camera_ids=["a", "b"], epoch_utc=EPOCH, interpolate_max_gap_s=None)
    found = list(read_trajectories(tmp_path / "trajectories.csv"))
    assert count == 3
    assert [linked.row for linked in found] == [linked.row for linked in rows]
    assert [linked.link for linked in found] == [links["a", 1], links["b", 4], links["a", 1]]
    assert (tmp_path / "mot" / "b.txt").read_text().startswith("1,5,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mot", "trajectories.csv"]


@settings(max_examples=20, deadline=None)
@given(
    tracks=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 9), st.integers(0, 5), st.integers(1, 8)),
        unique_by=lambda track: track[:2],
        max_size=8,
    ),
    links=st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.integers(1, 9)),
        st.builds(Link, st.integers(1, 12), st.floats(0, 1), st.booleans()),
        max_size=12,
    ),
    corner=st.floats(0, 500),
)
def test_no_box_is_lost_or_invented_by_final_ids(
    tracks: list[tuple[str, int, int, int]], links: dict[tuple[str, int], Link], corner: float
) -> None:
    rows = [
        row(frame, camera_id=camera, track_id=track, global_id=number, xyxy=(corner, frame, corner + track, 600))
        for number, (camera, track, first, length) in enumerate(tracks, start=1)
        for frame in range(first, first + length)
    ]
    rows.sort(key=lambda linked: (linked.row.time_s, linked.row.camera_id, linked.row.track_id))
    with tempfile.TemporaryDirectory() as folder:
        before = list(read_trajectories(write(Path(folder), rows)))
        count = rewrite(Path(folder), links, camera_ids=["a", "b"], epoch_utc=None, interpolate_max_gap_s=None)
        after = list(read_trajectories(Path(folder) / "trajectories.csv"))
        lines = sum(len((Path(folder) / f"mot/{name}.txt").read_text().splitlines()) for name in "ab")
    assert [linked.row for linked in after] == [linked.row for linked in before]
    assert count == lines == len(rows)
    # Every track has one id, and tracks that are not linked share theirs with none that is.
    ids = {(x.row.camera_id, x.row.track_id, x.link.global_id) for x in after}
    assert len(ids) == len(tracks)
    for camera, track, global_id in ids:
        linked = links.get((camera, track))
        if linked is not None:
            assert global_id == linked.global_id
        else:
            assert global_id not in {link.global_id for link in links.values()}


def test_rewriting_into_another_folder_leaves_the_first_as_it_was(tmp_path: Path) -> None:
    before = write(tmp_path / "old", [row(0)]).read_text()
    (tmp_path / "new").mkdir()
    links = {("a", 1): Link(5, 0.8, final=True)}
    rewrite(
        tmp_path / "old",
        links,
        camera_ids=["a", "b"],
        epoch_utc=None,
        interpolate_max_gap_s=None,
        output=tmp_path / "new",
    )
    assert (tmp_path / "old" / "trajectories.csv").read_text() == before
    assert [x.link.global_id for x in read_trajectories(tmp_path / "new" / "trajectories.csv")] == [5]


def test_tracks_whose_end_a_kill_has_swallowed_keep_their_people_apart(tmp_path: Path) -> None:
    rows = [
        row(0, track_id=1, global_id=1),
        row(0, track_id=2, global_id=2),
        row(0, camera_id="b", track_id=1, global_id=2),
        row(0, camera_id="b", track_id=2, global_id=6),
    ]
    write(tmp_path, rows)
    links = {("a", 1): Link(3, 0.8, final=True)}
    rewrite(tmp_path, links, camera_ids=["a", "b"], epoch_utc=None, interpolate_max_gap_s=None)
    found = [linked.link for linked in read_trajectories(tmp_path / "trajectories.csv")]
    assert [(link.global_id, link.final) for link in found] == [(3, True), (4, False), (4, False), (5, False)]


def test_a_failed_rewrite_keeps_the_online_ids(tmp_path: Path) -> None:
    path = write(tmp_path, [row(0)])
    before = path.read_text()
    (tmp_path / "rewriting").write_text("in the way")
    with pytest.raises(RunError, match="final ids cannot be written"):
        rewrite(
            tmp_path,
            {("a", 1): Link(5, 0.8)},
            camera_ids=["a", "b"],
            epoch_utc=None,
            interpolate_max_gap_s=None,
        )
    assert path.read_text() == before


# -- filling gaps ----------------------------------------------------------------------------------------------


def filled(rows: list[LinkedRow], max_gap_s: float = 1.0) -> list[LinkedRow]:
    return list(interpolated(rows, max_gap_s, ["a", "b"]))


def test_a_gap_is_filled_along_straight_lines() -> None:
    rows = [
        row(0, xyxy=(0, 0, 40, 100), confidence=0.9, world_xy_m=(0, 0)),
        row(4, xyxy=(40, 20, 80, 124), confidence=0.5, world_xy_m=(4, -8), global_id=3),
    ]
    found = filled(rows)
    assert [found[0], found[-1]] == rows
    assert [linked.row.frame_index for linked in found] == [0, 1, 2, 3, 4]
    middle = found[2].row
    assert middle.xyxy == pytest.approx((20, 10, 60, 112))
    assert (middle.time_s, middle.confidence) == pytest.approx((0.2, 0.7))
    assert middle.world_xy_m == pytest.approx((2, -4))
    assert [linked.row.interpolated for linked in found] == [False, True, True, True, False]
    # The box after the gap says whose it is.
    assert found[2].link.global_id == 3


@pytest.mark.parametrize(
    ("frames", "max_gap_s", "expected"),
    [
        pytest.param([0, 1, 2], 1.0, [0, 1, 2], id="no gap"),
        pytest.param([0, 10], 1.0, list(range(11)), id="a gap of just the limit"),
        pytest.param([0, 11], 1.0, [0, 11], id="a longer gap stays open"),
        pytest.param([0, 3, 20, 22], 1.0, [0, 1, 2, 3, 20, 21, 22], id="two of three gaps"),
        pytest.param([5], 1.0, [5], id="a single row"),
        pytest.param([], 1.0, [], id="no rows"),
    ],
)
def test_which_gaps_are_filled(frames: list[int], max_gap_s: float, expected: list[int]) -> None:
    assert [linked.row.frame_index for linked in filled([row(index) for index in frames], max_gap_s)] == expected


@pytest.mark.parametrize("start", [0, 1, 7, 91, 300])
def test_a_gap_of_the_limit_is_filled_wherever_it_begins(start: int) -> None:
    # Times of 29.97 frames per second in whole milliseconds, as they stand in the file.
    rows = [row(index, round(index / 29.97, 3)) for index in (start, start + 30)]
    assert len(filled(rows, 30 / 29.97)) == 31


def test_filled_rows_stand_in_order_of_time_between_those_of_others() -> None:
    rows = [
        row(0),
        row(0, camera_id="b", track_id=9),
        row(1, camera_id="b", track_id=9),
        row(2),
        row(2, camera_id="b", track_id=9),
        row(30),
    ]
    found = [(linked.row.frame_index, linked.row.camera_id) for linked in filled(rows)]
    assert found == [(0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "a"), (2, "b"), (30, "a")]


def test_only_frames_of_the_recording_are_filled_in() -> None:
    """Here every fifth frame was processed."""
    found = interpolated([row(0), row(15)], 5.0, ["a", "b"], {"a": 5})
    assert [linked.row.frame_index for linked in found] == [0, 5, 10, 15]


def test_gaps_without_places_on_the_floor_get_none() -> None:
    found = filled([row(0, world_xy_m=(1, 1)), row(2)])
    assert [linked.row.world_xy_m for linked in found] == [(1, 1), None, None]


def test_rewriting_twice_fills_the_same_gaps(tmp_path: Path) -> None:
    write(tmp_path, [row(index) for index in (0, 1, 5, 6)])

    def fill() -> str:
        rewrite(tmp_path, None, camera_ids=["a", "b"], epoch_utc=None, interpolate_max_gap_s=1.0)
        return (tmp_path / "trajectories.csv").read_text()

    first = fill()
    assert first.count(",1,,\n") == 3
    assert fill() == first
    # And without interpolation they are gone again.
    assert rewrite(tmp_path, None, camera_ids=["a", "b"], epoch_utc=None, interpolate_max_gap_s=None) == 4
