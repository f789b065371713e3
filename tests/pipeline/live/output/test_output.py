"""Files of a live run: valid at every moment, and complete when the disk is full for a while."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.output_settings import RetentionSettings
from pipeline.core.errors import InputError
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import OutputFolder
from pipeline.files.whole_files import WholeLines, write_whole
from pipeline.live.host_clock import HostClock, LiveClock
from pipeline.live.output.killed_runs import finish_killed_runs
from pipeline.live.output.retention import Retention
from pipeline.live.output.row_writer import RowWriter
from pipeline.live.output.segments import (
    REMAP_COLUMNS,
    SegmentWriter,
    remap_line,
    row_line,
    segments,
)
from tests.helpers.live.fakes import FakeClock
from tests.helpers.live.rows import START_S, correction, row
from tests.helpers.live.waiting import eventually


def writer(folder: Path, clock: LiveClock, **settings: float) -> SegmentWriter:
    return SegmentWriter(
        folder,
        "run",
        clock,
        segment_s=settings.get("segment_s", 3600.0),
        segment_max_bytes=int(settings.get("segment_max_bytes", 10**9)),
        fsync_interval_s=1.0,
    )


def indexes(folder: Path) -> list[int]:
    """Frame indexes of all rows, each file read as any reader of the CSV does."""
    return [linked.row.frame_index for path in segments(folder) for linked in read_trajectories(path)]


@pytest.mark.parametrize("limit", [{"segment_s": 10.0}, {"segment_max_bytes": 1000.0}])
def test_segments_rotate_and_are_valid_at_every_moment(tmp_path: Path, limit: dict[str, float]) -> None:
    clock = FakeClock()
    output = writer(tmp_path, clock, **limit)
    for index in range(100):
        output.write_rows([row_line(row(index))])
        clock.turn(1.0)
        output.keep_up()
        assert indexes(tmp_path) == list(range(index + 1))
        assert len(list(tmp_path.glob("*.part"))) <= 1
    output.close()
    files = segments(tmp_path)
    assert len(files) >= 5
    assert output.finished == [path.name for path in files]
    assert {path.suffix for path in files} == {".csv"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_segments_stay_in_order_beyond_four_digits(tmp_path: Path) -> None:
    numbers = [9, 9990, 9999, 10000, 10001, 100000]
    for number in numbers:
        (tmp_path / f"traj-20260101-1-{number:04}.csv").touch()
    (tmp_path / "traj-20260101-1-100001.csv.part").touch()
    (tmp_path / "traj-20251231-9-100002.csv").touch()
    names = [path.name for path in segments(tmp_path)]
    assert names[0] == "traj-20251231-9-100002.csv"
    assert [int(name.split("-")[3].split(".")[0]) for name in names[1:]] == [*numbers, 100001]


def test_what_a_kill_left_is_cut_to_whole_lines_and_finished(tmp_path: Path) -> None:
    output = writer(tmp_path, HostClock())
    output.write_rows([row_line(row(index)) for index in range(3)])
    output.write_remaps([remap_line(correction(), "run")])
    part = next(tmp_path.glob("*.part"))
    with part.open("ab") as file:
        file.write(b"7,a,1,9")
    with (tmp_path / "remap.csv").open("ab") as file:
        file.write(b"2026-")
    (tmp_path / "traj-older-0001.csv.part").touch()
    assert finish_killed_runs(tmp_path) == []
    assert [path.name for path in segments(tmp_path)] == ["traj-run-0001.csv"]
    assert indexes(tmp_path) == [0, 1, 2]
    assert not list(tmp_path.glob("*.part"))
    lines = (tmp_path / "remap.csv").read_text().splitlines()
    assert lines == [",".join(REMAP_COLUMNS), "2027-01-15T08:00:00.000Z,run,a,1,5,1,0.800"]


@pytest.mark.parametrize(
    "failing", ["pipeline.live.output.segment_series.sync_folder", "pipeline.files.whole_files.WholeLines.close"]
)
def test_a_segment_whose_end_fails_once_is_ended_by_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Its name may have been changed by then, and its file be closed."""
    clock = FakeClock()
    output = writer(tmp_path, clock, segment_s=10.0)
    output.write_rows([row_line(row(0))])
    clock.turn(11.0)

    def too_many_files(*arguments: object) -> None:
        monkeypatch.undo()
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(failing, too_many_files)
    with pytest.raises(OSError, match="Too many"):
        output.write_rows([row_line(row(1))])
    for index in (1, 2):
        output.write_rows([row_line(row(index))])
    output.close()
    assert indexes(tmp_path) == [0, 1, 2]
    assert output.finished == ["traj-run-0001.csv", "traj-run-0002.csv"]


def test_corrections_are_pruned_while_they_are_written(tmp_path: Path) -> None:
    """By the thread that writes them, so that none is lost; those after it go into the new file."""
    clock = FakeClock()
    settings = RetentionSettings(max_age_days=1.0, max_bytes=None, check_interval_s=60.0)
    now_s = [0.0]
    retention = Retention(tmp_path, "run", settings, lambda: START_S + 86_400 + now_s[0])
    rows = RowWriter(writer(tmp_path, clock), "run", clock, 1000)

    def provisional_ids() -> list[int]:
        return [int(line.split(",")[4]) for line in (tmp_path / "remap.csv").read_text().splitlines()[1:]]

    for number, age_s in enumerate((0, 1000, 4000)):
        rows.submit([], [replace(correction(number), time_s=START_S + age_s)])
    done = threading.Event()

    def prune() -> None:
        retention.prune_remaps()
        done.set()

    for now_s[0], left in ((3000.0, [0, 1, 2]), (3700.0, [2])):
        done.clear()
        rows.replace_remap(prune)
        assert done.wait(5)
        assert provisional_ids() == left
    rows.submit([row(0)], [correction(7)])
    rows.close(5)
    assert provisional_ids() == [2, 7]


def test_halves_of_files_that_a_kill_left_are_deleted(tmp_path: Path) -> None:
    halves = [
        "gallery.npz.part",
        "manifest-a.json.part",
        "remap.csv.part",
        "traj-a-0001.csv.part.part",
        ".x.csv.purging",
    ]
    for name in [*halves, "own.part", "gallery.npz", "traj-a-0001.csv"]:
        (tmp_path / name).touch()
    assert finish_killed_runs(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery.npz", "own.part", "traj-a-0001.csv"]


def test_corrections_of_several_runs_stand_in_one_file(tmp_path: Path) -> None:
    for run in ("first", "second"):
        output = SegmentWriter(
            tmp_path, run, HostClock(), segment_s=10, segment_max_bytes=1000, fsync_interval_s=1
        )
        output.write_remaps([remap_line(correction(), run)])
        output.close()
    lines = (tmp_path / "remap.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == ["run_id", "first", "second"]


def test_a_write_that_fails_half_way_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = WholeLines(tmp_path / "x.csv")
    file.append("whole\n")
    real = os.write
    answers: Iterator[int | None] = iter([3, None])

    def full(descriptor: int, data: bytes) -> int:
        count = next(answers)
        if count is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:count])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.append("torn apart\n")
    monkeypatch.undo()
    assert (tmp_path / "x.csv").read_text() == "whole\n"
    file.append("next\n")
    assert (tmp_path / "x.csv").read_text() == "whole\nnext\n"
    file.close()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    write_whole(path, b"old")

    def full(part: Path, data: bytes) -> int:
        part.write_text("n")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["manifest.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_is_private_and_for_one_run_at_a_time(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    with pytest.raises(InputError, match="another `mtmc live` writes into"):
        OutputFolder(tmp_path / "out")
    folder.close()
    OutputFolder(tmp_path / "out").close()


class FullDisk(SegmentWriter):
    """Takes nothing while `full`."""

    full = False

    def write_rows(self, lines: Sequence[str]) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write_rows(lines)


def full_disk(folder: Path) -> FullDisk:
    return FullDisk(folder, "run", HostClock(), segment_s=3600, segment_max_bytes=10**9, fsync_interval_s=0.1)


def test_rows_wait_while_the_disk_is_full_and_none_is_lost(tmp_path: Path) -> None:
    disk = full_disk(tmp_path)
    rows = RowWriter(disk, "run", HostClock(), max_waiting_rows=1000)
    rows.submit([row(0)], [])
    eventually(lambda: rows.rows_written == 1, 5)
    disk.full = True
    for index in range(1, 500):
        rows.submit([row(index)], [correction()] if index == 250 else [])
    eventually(lambda: rows.problem == "No space left on device", 5)
    assert rows.rows_waiting == 499
    disk.full = False
    eventually(lambda: rows.rows_written == 500, 5)
    eventually(lambda: not rows.problem, 5)
    rows.close(5)
    assert (rows.rows_lost, rows.rows_waiting) == (0, 0)
    assert indexes(tmp_path) == list(range(500))
    assert len((tmp_path / "remap.csv").read_text().splitlines()) == 2


def test_rows_beyond_the_limit_are_lost_oldest_first_and_counted(tmp_path: Path) -> None:
    disk = full_disk(tmp_path)
    disk.full = True
    rows = RowWriter(disk, "run", HostClock(), max_waiting_rows=100)
    for index in range(150):
        rows.submit([row(index)], [correction(provisional_id=index)] if index in (3, 4, 140) else [])
    eventually(lambda: rows.rows_lost == 50, 5)
    disk.full = False
    eventually(lambda: rows.rows_written == 100, 5)
    rows.close(5)
    assert rows.rows_lost == 50
    assert indexes(tmp_path) == list(range(50, 150))
    remaps = (tmp_path / "remap.csv").read_text().splitlines()[1:]
    assert {int(line.split(",")[4]) for line in remaps} == {
        3,
        4,
        140,
    }  # they concern rows that may be in the files


def test_rows_that_cannot_be_written_at_the_end_are_counted_as_lost(tmp_path: Path) -> None:
    disk = full_disk(tmp_path)
    disk.full = True
    rows = RowWriter(disk, "run", HostClock(), max_waiting_rows=100)
    rows.submit([row(0), row(1)], [])
    rows.close(0.3)
    assert (rows.rows_written, rows.rows_lost, rows.rows_waiting) == (0, 2, 0)


@pytest.mark.faults
def test_a_small_disk_that_is_full_and_then_free_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        clock = HostClock()
        rows = RowWriter(writer(disk, clock, segment_max_bytes=20_000.0), "run", clock, max_waiting_rows=10_000)
        filler = disk / "filler"
        filler.write_bytes(bytes(90_000))
        for index in range(1000):
            rows.submit([row(index)], [])
        eventually(lambda: bool(rows.problem), 10)
        assert rows.rows_waiting > 0
        written = indexes(disk)
        assert written == list(range(len(written)))  # whole lines only, also now
        filler.unlink()
        mount = ["mount", "-o", "remount,size=1m", str(disk)]
        subprocess.run(mount, check=True)
        eventually(lambda: rows.rows_written == 1000, 10)
        rows.close(5)
        assert rows.rows_lost == 0
        assert indexes(disk) == list(range(1000))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
