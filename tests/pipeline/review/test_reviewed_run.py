"""A reviewed run on disk: what its files hold after steps, undo, a new start and --revert."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError, RunError
from pipeline.files.folder_lock import FolderLock
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import REVIEW_NAME, clear_results, is_reviewed
from pipeline.review import reviewed_run
from pipeline.review.identities import Identities
from pipeline.review.revert import revert
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Confirm, Delete, Merge, Rename, Split, Step
from tests.helpers.stored_runs import live_run, recorded_run, row

RESULTS = ("trajectories.csv", "mot/hall.txt", "mot/door.txt", "run.json")


def made_run(folder: Path) -> Path:
    """Two people in hall, 1 in frames 0 to 4 and 2 in frames 3 to 9, and 1 in door in frames 6 to 8 as well."""
    kind = "walker, tall"  # in quotes in the CSV file
    rows = [row(1, "hall", 1, frame, class_name=kind) for frame in range(3)]
    for frame in range(3, 10):
        rows += [row(1, "hall", 1, frame, class_name=kind)] if frame < 5 else []
        rows += [row(2, "hall", 2, frame, class_name=kind)]
        rows += [row(1, "door", 1, frame, class_name=kind, interpolated=frame == 7)] if 6 <= frame < 9 else []
    recorded_run(folder, rows, classes={kind: {"global_ids": 2, "fragments": 0}}, global_ids=2)
    (folder / "run.json").write_text(json.dumps(noted(folder) | {"rows": len(rows)}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_run(tmp_path / "run")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


def do(run: ReviewedRun, *steps: Step) -> None:
    for step in steps:
        run.do(lambda _, step=step: step)  # type: ignore[misc]


def ids(folder: Path) -> dict[tuple[str, int], set[int]]:
    found: dict[tuple[str, int], set[int]] = {}
    for linked in read_trajectories(folder / "trajectories.csv", strict=True):
        found.setdefault((linked.row.camera_id, linked.row.track_id), set()).add(linked.link.global_id)
    return found


def noted(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text())


def test_rows_mot_text_and_note_have_the_steps(folder: Path) -> None:
    before = bytes_of(folder)
    with ReviewedRun(folder) as run:
        do(run, Split("hall", 2, 3, 5, 3), Delete("door", 1), Merge(1, 3), Rename(1, "Ana"), Confirm(1))
    assert ids(folder) == {("hall", 1): {1}, ("hall", 2): {2}, ("hall", 3): {1}}
    lines = (folder / "trajectories.csv").read_text().splitlines()
    assert lines[1] == before["trajectories.csv"].decode().splitlines()[1]  # no step concerns it
    assert lines[-1] == '1,hall,3,9,0.900,,"walker, tall",10.00,20.00,50.00,120.00,0.5000,1.000,final,0,,'
    assert (folder / "mot" / "hall.txt").read_text().splitlines()[-1].startswith("10,1,10.00,20.00,40.00,100.00")
    assert (folder / "mot" / "door.txt").read_text() == ""
    note = noted(folder)
    assert note["review"] == {
        "version": 1, "steps": 5, "permanent_steps": 0, "deleted_rows": 3, "confirmed": 1, "journal_lines": 6,
    }  # fmt: skip
    assert (note["rows"], note["global_ids"], note["classes"]["walker, tall"]["global_ids"]) == (12, 2, 2)


def test_a_second_review_goes_on_where_the_first_stopped(folder: Path) -> None:
    before = bytes_of(folder)
    with ReviewedRun(folder) as run:
        do(run, Delete("door", 1), Split("hall", 1, 3, 2, 3))
        run.undo()
    assert ids(folder) == {("hall", 1): {1}, ("hall", 2): {2}}
    with ReviewedRun(folder) as run:
        assert run.saved
        run.redo()
    assert ids(folder) == {("hall", 1): {1}, ("hall", 2): {2}, ("hall", 3): {3}}
    with ReviewedRun(folder) as run:
        run.undo()
        run.undo()
        with pytest.raises(InputError, match="nothing to undo"):
            run.undo()
    assert bytes_of(folder) == before
    with ReviewedRun(folder) as run:
        do(run, Confirm(1))
        with pytest.raises(InputError, match="nothing to redo"):
            run.redo()


def test_revert_restores_every_byte(folder: Path) -> None:
    (folder / "events.csv").write_text("events of the run\n")
    (folder / "report.html").write_text('<meta name="generator" content="mtmc report">')
    before, files = bytes_of(folder), {path.name for path in folder.rglob("*") if path.name != "report.html"}
    with ReviewedRun(folder) as run:
        do(run, Delete("door", 1))
    assert list(run.changed_files) == ["events.csv", "report.html"]
    assert not (folder / "events.csv").exists()
    assert is_reviewed(folder)
    assert "Restored" in revert(folder)[0]
    assert bytes_of(folder) == before
    assert (folder / "events.csv").read_text() == "events of the run\n"
    assert {path.name for path in folder.rglob("*")} == files
    with pytest.raises(InputError, match="was not corrected"):
        revert(folder)


def test_a_damaged_journal_is_refused_and_can_be_reverted(folder: Path) -> None:
    before = bytes_of(folder)
    with ReviewedRun(folder) as run:
        do(run, Delete("door", 1))
    with (folder / REVIEW_NAME).open("a") as file:
        file.write('{"step": "merge"}\n')
    with pytest.raises(InputError, match="line 3: it cannot be read"):
        ReviewedRun(folder)
    revert(folder)
    assert bytes_of(folder) == before


def test_a_torn_last_line_is_no_step_and_is_removed(folder: Path) -> None:
    with ReviewedRun(folder) as run:
        do(run, Delete("door", 1))
    with (folder / REVIEW_NAME).open("a") as file:
        file.write('{"step": "mer')
    with ReviewedRun(folder) as run:
        assert len(run.journal.done) == 1
        do(run, Confirm(1))
    with ReviewedRun(folder) as run:
        assert len(run.journal.done) == 2


def test_steps_are_saved_although_the_rows_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(reviewed_run, "write_corrected", full)
        run = ReviewedRun(folder)
        do(run, Delete("door", 1))
        with pytest.raises(RunError, match="corrections are saved"):
            run.close()
    assert ("door", 1) in ids(folder)
    with ReviewedRun(folder):
        pass
    assert ("door", 1) not in ids(folder)


def test_rows_are_those_of_the_steps_although_only_the_note_could_not_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = bytes_of(folder)
    with ReviewedRun(folder) as run:
        with monkeypatch.context() as broken:
            broken.setattr(reviewed_run, "write_whole", full)
            do(run, Delete("door", 1))
            with pytest.raises(RunError, match="No space left"):
                run.write()
        run.undo()
    assert bytes_of(folder) == before


def torn(folder: Path) -> None:
    with (folder / "trajectories.csv").open("a") as file:
        file.write("1,hall,1,10")


def other_columns(folder: Path) -> None:
    path = folder / "trajectories.csv"
    path.write_text(path.read_text().replace("global_id", "person_id", 1))


def other_version(folder: Path) -> None:
    (folder / REVIEW_NAME).write_text('{"format": "mtmc review", "version": 2}\n')


def running(folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps(noted(folder) | {"state": "running"}))


def several_ids(folder: Path) -> None:
    path = folder / "trajectories.csv"
    path.write_text(path.read_text().replace("\n1,hall,1,1,", "\n5,hall,1,1,", 1))
    (folder / "mot" / "hall.txt").unlink()


def other_mot(folder: Path) -> None:
    with (folder / "mot" / "hall.txt").open("a") as file:
        file.write("99,1,1,1,1,1,1,-1,-1,-1\n")


def not_json(folder: Path) -> None:
    (folder / "run.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (torn, "was cut off"),
        (other_columns, "other columns"),
        (other_version, "of version 2"),
        (running, "'running', so its ids are not final: `mtmc link"),
        (several_ids, "track hall:1 has the ids 1 and 5"),
        (other_mot, "has other rows than"),
        (not_json, "is missing or damaged"),
    ],
)
def test_runs_that_are_refused(folder: Path, damage: Callable[[Path], None], problem: str) -> None:
    damage(folder)
    before = bytes_of(folder) if damage is not several_ids else {}
    with pytest.raises(InputError, match=problem) as caught:
        ReviewedRun(folder)
    assert "\n" not in str(caught.value)
    assert before == (bytes_of(folder) if before else {})
    with FolderLock(folder, "another", advice="", private=False):
        pass  # the folder is free again


def test_other_folders_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="holds no results of `mtmc track`"):
        ReviewedRun(tmp_path)
    with pytest.raises(InputError, match="a live run"):
        ReviewedRun(live_run(tmp_path / "live", [row(1, "hall", 1, 0)]))
    with (
        FolderLock(folder, "mtmc link", advice="", private=False),
        pytest.raises(InputError, match="another `mtmc link` writes into"),
    ):
        ReviewedRun(folder)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="is read-only"):
        ReviewedRun(folder)


def test_overwrite_replaces_what_a_review_left(folder: Path) -> None:
    with ReviewedRun(folder) as run:
        do(run, Delete("door", 1))
    clear_results(folder, overwrite=True)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


_ALL = [
    lambda one: Merge(1, 2) if len(one.ids()) > 1 else Confirm(one.ids()[0]),
    lambda one: Split("hall", 2, one.free_id, 6, one.free_track_id("hall")),
    lambda one: Split("door", 1, one.free_id),
    lambda one: Delete("hall", 1),
    lambda one: Rename(1, "Ana"),
    lambda one: Confirm(2),
]  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices=st.lists(st.integers(0, len(_ALL) - 1), max_size=6), back=st.integers(0, 6))
def test_undo_of_everything_gives_the_original_bytes(
    tmp_path_factory: pytest.TempPathFactory, choices: list[int], back: int
) -> None:
    folder = made_run(tmp_path_factory.mktemp("undo"))
    before = bytes_of(folder)
    with ReviewedRun(folder) as run:
        for choice in choices:
            make: Callable[[Identities], Step] = _ALL[choice]
            try:
                run.do(make)
            except InputError:
                continue
        run.write()
        after = bytes_of(folder)
        for _ in range(min(back, len(run.journal.done))):
            run.undo()
        while run.journal.undone:
            run.redo()
        run.write()
        assert {name: data for name, data in bytes_of(folder).items() if name != "run.json"} == {
            name: data for name, data in after.items() if name != "run.json"
        }
        while run.journal.done:
            run.undo()
    assert bytes_of(folder) == before
