"""The last word on provisional ids of a run that was killed."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path

import pytest

from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.files.results_csv import COLUMNS, read_trajectories
from pipeline.live.output.killed_runs import finish_killed_runs
from pipeline.live.output.segments import REMAP_COLUMNS, remap_line, row_line
from tests.helpers.live.rows import START_S, correction


def row(index: int, track_id: int, global_id: int, *, final: bool = False) -> LinkedRow:
    made = TrajectoryRow("hall", track_id, index, START_S + index, "person", (1.0, 2.0, 3.0, 4.0), 0.9)
    return LinkedRow(made, Link(global_id, 0.75 if final else 0.0, final))


def segment(folder: Path, name: str, *rows: LinkedRow) -> Path:
    path = folder / name
    path.write_text(",".join(COLUMNS) + "\n" + "".join(map(row_line, rows)))
    return path


def words(folder: Path) -> dict[int, tuple[int, str, str]]:
    """By provisional id: the id that counts, the run, and the confidence."""
    with (folder / "remap.csv").open() as file:
        return {
            int(line["provisional_id"]): (int(line["global_id"]), line["run_id"], line["link_confidence"])
            for line in csv.DictReader(file)
        }


def test_each_provisional_id_gets_the_word_that_the_rows_can_give(tmp_path: Path) -> None:
    known = correction(provisional_id=13, global_id=2)
    (tmp_path / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n" + remap_line(known, "killed"))
    segment(tmp_path, "traj-earlier-0001.csv", row(0, 1, 5))  # ended by itself: its ids stand
    segment(tmp_path, "traj-killed-0001.csv", row(1, 1, 10))
    segment(
        tmp_path,
        "traj-killed-0002.csv.part",
        *[
            row(2, 1, 3, final=True),
            row(3, 1, 3, final=True),
        ],  # known, but its correction was not written any more
        *[row(2, 2, 11), row(3, 2, 11)],  # undecided
        *[row(2, 3, 12), row(3, 3, 12, final=True)],  # a new person, as the rows say themselves
        row(2, 4, 13),  # was corrected
    )
    made = finish_killed_runs(tmp_path)
    assert [(word.provisional_id, word.global_id, word.run_id) for word in made] == [
        (10, 3, "killed"),
        (11, 11, "killed"),
    ]
    assert words(tmp_path) == {
        13: (2, "killed", "0.800"),
        10: (3, "killed", "0.750"),
        11: (11, "killed", "0.000"),
    }
    assert [one.time_s for one in made] == [START_S + 1, START_S + 3]
    assert finish_killed_runs(tmp_path) == []
    assert (tmp_path / "traj-killed-0002.csv").exists()


def test_a_full_disk_leaves_all_for_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = segment(tmp_path, "traj-killed-0001.csv.part", row(1, 1, 10))

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        finish_killed_runs(tmp_path)
    monkeypatch.undo()
    assert part.exists()
    assert [word.provisional_id for word in finish_killed_runs(tmp_path)] == [10]
    assert words(tmp_path) == {10: (10, "killed", "0.000")}


def test_a_damaged_line_costs_only_itself_and_not_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = segment(tmp_path, "traj-killed-0001.csv.part", row(1, 1, 10))
    whole = part.read_text() + "\0\0\0\n" + row_line(row(2, 2, 11))
    part.write_text(whole)
    good = remap_line(correction(provisional_id=11, global_id=2), "killed")
    (tmp_path / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n\0\0\0\n" + good)
    assert [word.provisional_id for word in finish_killed_runs(tmp_path)] == [10]
    assert (
        "traj-killed-0001.csv.part is damaged in line 3; it now holds the 2 rows that can be read" in caplog.text
    )
    assert "remap.csv is damaged in line 2; it now holds the 1 rows" in caplog.text
    assert words(tmp_path) == {11: (2, "killed", "0.800"), 10: (10, "killed", "0.000")}
    assert (tmp_path / "traj-killed-0001.csv.part.damaged").read_text() == whole
    rows = list(read_trajectories(tmp_path / "traj-killed-0001.csv"))
    assert [linked.link.global_id for linked in rows] == [10, 11]
    assert finish_killed_runs(tmp_path) == []
