"""`mtmc review` as a command, and what other commands make of a corrected run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.commands import view
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Confirm, Delete, Merge, Rename, Split, Step
from tests.helpers import looped_scene
from tests.helpers.stored_runs import live_run, recorded_run, row
from tests.helpers.wrong_identities import LOST_ID, with_mistakes, write_truth

ROWS = [row(1, "hall", 1, frame) for frame in range(4)] + [row(2, "door", 1, frame + 4) for frame in range(3)]


def told(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What the command prints."""
    with pytest.raises(SystemExit) as stop:
        main([str(one) for one in arguments])
    captured = capsys.readouterr()
    assert (stop.value.code or 0) == code, captured.err
    return captured.err if code else captured.out


def correct(folder: Path, *steps: Step) -> None:
    with ReviewedRun(folder) as run:
        for step in steps:
            run.do(lambda _, step=step: step)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["missing"], "holds no results of `mtmc track`"),
        (["site"], "a live run"),
        (["run", "--recording", "cellar=."], "those of the run are door, hall"),
        (["run", "--revert"], "was not corrected"),
        (["run", "--revert", "--export-ground-truth", "truth"], "give either"),
        (["run", "--export-ground-truth", "truth"], "nobody is confirmed"),
        (["run", "--set", "live.web.host=0.0.0.0"], "the page needs a token"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_told_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded_run(tmp_path / "run", ROWS)
    live_run(tmp_path / "site", ROWS)
    before = sorted(tmp_path.rglob("*"))
    (line,) = [one for one in told(capsys, "review", *options, code=2).splitlines() if one.startswith("error: ")]
    assert problem in line
    assert sorted(tmp_path.rglob("*")) == before


def test_what_was_corrected_is_told_when_the_page_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recorded_run(tmp_path / "run", ROWS)
    (folder / "demo.mp4").touch()
    (folder / "events.csv").touch()
    monkeypatch.setattr(view, "has_desktop", lambda: False)
    monkeypatch.setattr(view, "_wait", lambda: None)
    assert "no corrections" in told(capsys, "review", folder)
    assert (folder / "events.csv").exists()

    def someone_works() -> None:
        # The page would make this step.
        (run,) = opened
        run.do(lambda _: Delete("door", 1))

    opened: list[ReviewedRun] = []
    begin = ReviewedRun.__init__

    def remembered(self: ReviewedRun, folder: Path) -> None:
        begin(self, folder)
        opened.append(self)

    monkeypatch.setattr(ReviewedRun, "__init__", remembered)
    monkeypatch.setattr(view, "_wait", someone_works)
    text = told(capsys, "review", folder)
    assert re.search(r"Open http://127.0.0.1:\d+/login\?token=\S{20,}", text)
    assert "1 corrections are in trajectories.csv and the MOT text; 3 rows of deleted tracks are left out" in text
    assert "Deleted events.csv" in text
    assert "demo.mp4 still shows the ids of the run" in text


def test_confirmed_people_are_ground_truth_that_evaluate_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = recorded_run(tmp_path / "run", ROWS, cameras={"hall": {}, "door": {}, "cellar": {}})
    correct(folder, Rename(1, "Ana"), Confirm(1))
    text = told(capsys, "review", folder, "--export-ground-truth", "truth")
    assert "4 boxes of 1 person (1 with a name) in 3 cameras; 0 boxes are interpolated" in text
    assert "left out: 3 rows of people who are not confirmed" in text
    assert Path("truth/hall.txt").read_text().splitlines()[0] == "1,1,10.00,20.00,40.00,100.00,1,1,1"
    assert Path("truth/door.txt").read_text() == Path("truth/cellar.txt").read_text() == ""
    assert "already exists" in told(capsys, "review", folder, "--export-ground-truth", "truth", code=2)
    assert "ground truth" in (folder / "copies.ndjson").read_text()
    told(capsys, "evaluate", "-t", folder, "-g", "hall=truth/hall.txt")


def test_other_commands_know_a_corrected_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scene = tmp_path / "scene"
    scene.mkdir()
    looped_scene.run_scene(scene / "run", looped_scene.write_recordings(scene))
    run, truth = with_mistakes(scene / "run", tmp_path / "run"), write_truth(tmp_path)
    original = (run / "trajectories.csv").read_bytes()
    correct(run, Merge(1, LOST_ID), Split("left", 3, 10), Split("left", 2, 11, 30, 99))
    assert "was corrected with `mtmc review`" in told(capsys, "link", run, "--overwrite", code=2)
    assert f"`mtmc review {run} --revert` first" in told(capsys, "link", run, "--output", "other", code=2)
    assert not Path("other").exists()
    told(capsys, "report", run)
    assert "Person 11" in (run / "report.html").read_text()
    told(capsys, "find", run, "--id", "1")
    told(capsys, "convert", run, "--to", "mot", "--output", "mot")
    assert {line.split(",")[1] for line in Path("mot/left.txt").read_text().splitlines()} >= {"10", "11"}
    told(capsys, "explain", run, "--id", "1")
    scores = told(capsys, "evaluate", "-t", run, *(f"-g{name}={path}" for name, path in truth.items()))
    assert "IDF1" in scores
    assert "Restored trajectories.csv" in told(capsys, "review", run, "--revert").replace(
        "mot/left.txt, mot/right.txt, run.json, ", ""
    )
    assert (run / "trajectories.csv").read_bytes() == original
    told(capsys, "link", run, "--overwrite")
