"""A folder that is removed, moved or cannot take new files while a run writes into it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import InputError, RunError
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import OutputFolder
from tests.helpers.live.fakes import FakeStream, steady
from tests.helpers.live.simulated_run import live_run, rows_in
from tests.helpers.live.waiting import eventually

DOORS = {"a": lambda: FakeStream(steady(20))}
SETTINGS = {"max_fps": 20.0, "checkpoint_interval_s": 0.5}


def remove(folder: Path) -> None:
    """At once: the run would create new files while they are deleted one by one."""
    shutil.rmtree(folder.rename(folder.parent.parent / "away"))


def remove_with_parent(folder: Path) -> None:
    shutil.rmtree(folder.parent.rename(folder.parent.parent / "away"))


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("harm", [remove, remove_with_parent, empty])
def test_a_folder_that_is_removed_is_begun_again_and_its_rows_count_as_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    place = tmp_path / "deep"
    place.mkdir()

    def watch() -> None:
        nonlocal last
        with live_run(place, DOORS, live=SETTINGS) as run:
            eventually(lambda: run.status().rows_written > 5, 15)
            eventually(lambda: (place / "out" / "gallery.npz").exists(), 5)
            harm(place / "out")
            eventually(lambda: run.status().rows_lost > 5, 10)
            eventually(lambda: (place / "out").exists() and len(rows_in(place)) > 10, 10)
            eventually(lambda: (place / "out" / "gallery.npz").exists(), 10)
            eventually(lambda: (place / "out" / "run.lock").exists(), 10)
            eventually(lambda: run.status().ready, 5)
            with pytest.raises(InputError, match="another `mtmc live`"):
                OutputFolder(place / "out")
        last = run.status()

    last: Any = None
    with pytest.raises(RunError, match=r"rows are lost \(their file was deleted during the run\)"):
        watch()
    assert "was deleted during the run" in caplog.text


def test_a_folder_that_is_moved_keeps_its_rows_and_a_new_one_gets_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with live_run(tmp_path, DOORS, live=SETTINGS) as run:
        eventually(lambda: run.status().rows_written > 5, 15)
        (tmp_path / "out").rename(tmp_path / "moved")
        eventually(lambda: (tmp_path / "out").exists() and len(rows_in(tmp_path)) > 10, 10)
    [part] = (tmp_path / "moved").glob("traj-*.part")
    numbers = [one.row.frame_index for one in [*read_trajectories(part), *rows_in(tmp_path)]]
    status = run.status()
    assert status.rows_lost == 0
    assert len(numbers) == len(set(numbers)) == status.rows_written == status.cameras[0].inferred
    assert "was moved during the run" in caplog.text


def test_a_folder_that_another_run_has_taken_meanwhile_ends_this_one(tmp_path: Path) -> None:
    def watch() -> None:
        nonlocal other
        with live_run(tmp_path, DOORS, live=SETTINGS) as run:
            eventually(lambda: run.status().rows_written > 5, 15)
            (tmp_path / "out").rename(tmp_path / "moved")
            other = OutputFolder(tmp_path / "out")
            eventually(lambda: run.finished, 10)

    other: OutputFolder | None = None
    with pytest.raises(RunError, match="the output folder was replaced during the run: another `mtmc live`"):
        watch()
    assert other is not None
    other.close()


def test_a_folder_that_takes_no_new_files_is_seen_and_rows_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As without free inodes: files that exist can grow."""
    real, full, out = os.open, False, tmp_path / "out"

    def no_inodes(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if full and flags & os.O_CREAT and Path(path).is_relative_to(out) and not Path(path).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", no_inodes)
    live = {**SETTINGS, "segment_s": 1.0, "checkpoint_interval_s": 60.0}
    with live_run(tmp_path, DOORS, live=live) as run:
        eventually(lambda: run.status().rows_written > 5, 15)
        full = True
        eventually(lambda: not run.status().ready, 10)
        problem = run.status().writer_problem
        assert problem == "no new file can be created (No space left on device)"
        written = run.status().rows_written
        eventually(lambda: run.status().rows_written > written + 40, 10)
        assert problem in caplog.text
        full = False
        eventually(lambda: run.status().ready, 10)
        eventually(lambda: len(list(out.glob("traj-*.csv"))) > 1, 10)
    status = run.status()
    assert (status.rows_lost, len(rows_in(tmp_path))) == (0, status.cameras[0].inferred)
