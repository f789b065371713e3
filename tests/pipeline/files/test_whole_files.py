"""Files that no reader ever finds half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.core.errors import RunError
from pipeline.files.run_folder import clear_results, delete_leftovers
from pipeline.files.whole_files import BufferedLines, WholeLines, cut_torn_line, replacing, write_whole


def test_a_file_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_after_an_error_the_old_file_stays_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_data_of_people_is_for_their_owner(tmp_path: Path) -> None:
    write_whole(tmp_path / "gallery.npz", b"features")
    assert (tmp_path / "gallery.npz").stat().st_mode & 0o777 == 0o600


class FullDisk:
    """The module os on a disk with `room` bytes."""

    def __init__(self, room: int) -> None:
        self._room = room

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def write(self, descriptor: int, data: bytes) -> int:
        if self._room == 0:
            raise OSError(28, "No space left on device")
        written = os.write(descriptor, data[: self._room])
        self._room -= written
        return written


@pytest.mark.parametrize(
    ("all_or_nothing", "kept"),
    [(True, "first\n"), (False, "first\nsecond\n")],
    ids=["all or nothing", "whole lines"],
)
def test_a_full_disk_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, all_or_nothing: bool, kept: str
) -> None:
    lines = WholeLines(tmp_path / "rows.csv")
    lines.append("first\n")
    monkeypatch.setattr("pipeline.files.whole_files.os", FullDisk(room=9))
    with pytest.raises(OSError, match="No space"):
        lines.append("second\nthird\n", all_or_nothing=all_or_nothing)
    monkeypatch.undo()
    assert (tmp_path / "rows.csv").read_text() == kept
    lines.append("next\n")
    assert (tmp_path / "rows.csv").read_text() == kept + "next\n"
    lines.close()


def test_buffered_lines_say_what_to_do_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = BufferedLines(tmp_path / "rows.csv")
    monkeypatch.setattr("pipeline.files.whole_files.os", FullDisk(room=4))
    rows.write_line("abc")
    rows.write_line("def")
    with pytest.raises(RunError, match=r"rows\.csv cannot be written: No space.*another --output"):
        rows.flush()
    monkeypatch.undo()
    assert (tmp_path / "rows.csv").read_text() == "abc\n"
    rows.close()


@pytest.mark.parametrize(
    ("content", "expected", "torn"),
    [
        ("a\nb", "a\n", True),
        ("a\n", "a\n", False),
        ("", "", False),
        ("torn", "", True),
        ("a\n" + "x" * 9000, "a\n", True),
    ],
)
def test_a_torn_line_is_cut(tmp_path: Path, content: str, expected: str, torn: bool) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    assert cut_torn_line(path) is torn
    assert path.read_text() == expected


def test_two_processes_write_one_file_and_the_last_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]


def test_what_killed_processes_left_is_deleted_and_what_others_write_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "last.pt"
    left, new, other = (tmp_path / f".{name}.part" for name in ("last.pt.0123abcd", "last.pt.9999abcd", "own.pt"))
    with replacing(path) as living:
        for each in (left, new, other, living):
            each.write_text("half")
        for each in (left, other, living):
            os.utime(each, (0, 0))
        write_whole(path, b"whole")
        assert not left.exists()
        assert all(each.exists() for each in (new, other, living))
    assert caplog.messages == [f"deleted {left}, which a killed process had left"]


@pytest.mark.parametrize("name", [*("x" * length for length in (10, 249, 250, 251, 254, 255)), "ä" * 127])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_whole(path, b"old")
    left = tmp_path / f".{os.fsdecode(os.fsencode(name)[:200])}.0123abcd.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


HALF_MADE = (
    ".trajectories.csv.purging",
    "run.json.part",
    "gallery.npz.part",
    "remap.csv.part",
    ".tracklets.arrow.0123abcd.part",
)


def test_both_ways_of_cleaning_know_every_half_made_file(tmp_path: Path) -> None:
    for clean in (lambda folder: clear_results(folder, overwrite=True), delete_leftovers):
        for name in HALF_MADE:
            (tmp_path / name).write_text("of people")
        (tmp_path / "other.part").write_text("of somebody else")
        clean(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["other.part"]
