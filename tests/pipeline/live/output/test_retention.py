"""Old and too many segments go while a run goes on; the open one never does."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from pipeline.config.output_settings import RetentionSettings
from pipeline.files.results_csv import COLUMNS
from pipeline.live.output.retention import Retention, first_row_s, last_row_s
from pipeline.live.output.segments import REMAP_COLUMNS, remap_line, row_line
from tests.helpers.live.examples import NOW_S, make_remap, make_row

DAY_S = 86_400.0
HEADER = ",".join(COLUMNS) + "\n"


def segment(folder: Path, run: str, number: int, time_s: float, *, rows: int = 1, part: bool = False) -> Path:
    path = folder / f"traj-{run}-{number:04}.csv{'.part' if part else ''}"
    path.write_text(HEADER + row_line(make_row(time_s=time_s)) * rows)
    return path


def retention(folder: Path, *, max_age_days: float | None = None, max_bytes: int | None = None) -> Retention:
    settings = RetentionSettings(max_age_days=max_age_days, max_bytes=max_bytes, check_interval_s=1.0)
    return Retention(folder, "run2", settings, lambda: NOW_S)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_segments_whose_last_row_is_too_old_are_deleted_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    segment(tmp_path, "run1", 1, NOW_S - 8 * DAY_S)
    segment(tmp_path, "run1", 2, NOW_S - 6 * DAY_S)
    segment(tmp_path, "run2", 1, NOW_S - 8 * DAY_S, part=True)
    with caplog.at_level(logging.WARNING):
        retention(tmp_path, max_age_days=7.0).enforce()
    assert names(tmp_path) == ["traj-run1-0002.csv", "traj-run2-0001.csv.part"]
    assert "traj-run1-0001.csv was deleted: is older than 7 days" in caplog.text


def test_the_age_is_that_of_the_rows_not_of_the_file(tmp_path: Path) -> None:
    path = segment(tmp_path, "run1", 1, NOW_S - DAY_S, rows=500)
    os.utime(path, (0, 0))
    assert last_row_s(path) == NOW_S - DAY_S
    empty = tmp_path / "traj-run1-0002.csv"
    empty.write_text(HEADER)
    os.utime(empty, (5.0, 5.0))
    assert last_row_s(empty) == 5.0


def test_above_the_quota_the_oldest_go_first_and_the_open_one_never(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = segment(tmp_path, "run1", 1, NOW_S - 30, rows=5000).stat().st_size
    for number in (2, 3):
        segment(tmp_path, "run1", number, NOW_S - 30 + number, rows=5000)
    segment(tmp_path, "run2", 1, NOW_S, rows=5000, part=True)
    assert size * 4 > 1_500_000
    retention(tmp_path, max_bytes=3 * size + 100).enforce()
    assert names(tmp_path) == ["traj-run1-0002.csv", "traj-run1-0003.csv", "traj-run2-0001.csv.part"]
    segment(tmp_path, "run2", 1, NOW_S, rows=50_000, part=True)
    keeper = retention(tmp_path, max_bytes=1_000_000)
    with caplog.at_level(logging.WARNING):
        keeper.enforce()
        keeper.enforce()
    assert names(tmp_path) == ["traj-run2-0001.csv.part"]
    assert caplog.text.count("more than its quota") == 1


def test_no_segment_goes_for_what_else_grows_in_the_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 3):
        segment(tmp_path, "run1", number, NOW_S)
    (tmp_path / "rows.jsonl").write_bytes(b"x" * 2_000_000)
    keeper = retention(tmp_path, max_bytes=1_000_000)
    keeper.enforce()
    keeper.enforce()
    assert len(names(tmp_path)) == 4
    assert caplog.text.count("the largest other file is rows.jsonl") == 1


def test_features_that_were_put_aside_go_when_they_are_too_old(tmp_path: Path) -> None:
    for name, age_days in (("gallery.damaged", 8), ("gallery.other_version", 6), ("gallery.npz", 9)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (NOW_S - age_days * DAY_S,) * 2)
    retention(tmp_path, max_age_days=7.0).enforce()
    assert names(tmp_path) == ["gallery.npz", "gallery.other_version"]


def test_without_limits_nothing_goes(tmp_path: Path) -> None:
    segment(tmp_path, "run1", 1, 0.0)
    retention(tmp_path).enforce()
    assert names(tmp_path) == ["traj-run1-0001.csv"]


def test_old_corrections_and_notes_of_deleted_runs_go_too(tmp_path: Path) -> None:
    old = make_remap(5, 2)
    old = type(old)(NOW_S - 8 * DAY_S, old.camera_id, old.track_id, 5, 2, 0.9)
    new = remap_line(make_remap(7, 3), "run1")
    (tmp_path / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n" + remap_line(old, "run1") + "\0\0\n" + new)
    for run in ("run0", "run1", "run2"):
        (tmp_path / f"manifest-{run}.json").write_text("{}")
        os.utime(tmp_path / f"manifest-{run}.json", (NOW_S - 9 * DAY_S, NOW_S - 9 * DAY_S))
    segment(tmp_path, "run1", 1, NOW_S)
    keeper = retention(tmp_path, max_age_days=7.0)
    keeper.prune_remaps()
    keeper.enforce()
    assert (tmp_path / "remap.csv").read_text() == ",".join(REMAP_COLUMNS) + "\n\0\0\n" + new
    assert names(tmp_path) == ["manifest-run1.json", "manifest-run2.json", "remap.csv", "traj-run1-0001.csv"]


def correction_at(time_s: float) -> str:
    found = make_remap(5, 2)
    return remap_line(type(found)(time_s, found.camera_id, found.track_id, 5, 2, 0.9), "run1")


@pytest.mark.parametrize(
    ("first_row_days", "damage", "stays"),
    [
        pytest.param(9.0, "", True, id="rows from before it are left"),
        pytest.param(8.0, "", True, id="rows of its moment are left"),
        pytest.param(7.5, "", False, id="the oldest row that is left is newer"),
        pytest.param(7.5, "\0\0\n", True, id="the oldest row that is left says no time"),
        pytest.param(7.5, HEADER, True, id="nor does a second header"),
    ],
)
@pytest.mark.parametrize("part", [False, True], ids=["finished", "open"])
def test_a_correction_stays_as_long_as_rows_that_it_may_correct(
    tmp_path: Path, first_row_days: float, damage: str, stays: bool, part: bool
) -> None:
    """A segment goes with its last row, so that its first ones become older than the retention time."""
    lines = [correction_at(NOW_S - 8 * DAY_S), correction_at(NOW_S - DAY_S)]
    (tmp_path / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n" + "".join(lines))
    rows = [row_line(make_row(time_s=NOW_S - days * DAY_S)) for days in (first_row_days, 6.0)]
    (tmp_path / f"traj-run1-0001.csv{'.part' if part else ''}").write_text(HEADER + damage + "".join(rows))
    segment(tmp_path, "run1", 2, NOW_S)
    (tmp_path / "traj-run2-0001.csv.part").write_text(HEADER)
    keeper = retention(tmp_path, max_age_days=7.0)
    keeper.enforce()
    keeper.prune_remaps()
    left = (tmp_path / "remap.csv").read_text().splitlines(keepends=True)[1:]
    assert left == (lines if stays else lines[1:])
    assert len(names(tmp_path)) == 4


def test_a_correction_goes_with_the_segment(tmp_path: Path) -> None:
    line = correction_at(NOW_S - 8 * DAY_S)
    (tmp_path / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n" + line)
    segment(tmp_path, "run1", 1, NOW_S - 8 * DAY_S)
    segment(tmp_path, "run1", 2, NOW_S)
    keeper = retention(tmp_path, max_age_days=7.0)
    keeper.prune_remaps()
    assert line in (tmp_path / "remap.csv").read_text()
    keeper.enforce()
    keeper.prune_remaps()
    assert line not in (tmp_path / "remap.csv").read_text()


def test_a_segment_that_is_gone_by_now_has_no_first_row(tmp_path: Path) -> None:
    assert first_row_s(tmp_path / "traj-run1-0001.csv") == float("inf")
