"""`mtmc report`, and the summary of `mtmc track`: what is printed where, and who deletes a report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.files.folder_lock import FolderLock
from tests.helpers import looped_scene
from tests.pipeline.report.test_page import write_truth


def mtmc(*arguments: object) -> int:
    """Run the command line; return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, and the run `results`."""
    folder = tmp_path_factory.mktemp("whole")
    looped_scene.run_scene(folder / "results", looped_scene.write_recordings(folder))
    return folder


@pytest.fixture
def scene(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which a test may change."""
    monkeypatch.setenv("COLUMNS", "160")
    return Path(shutil.copytree(whole, tmp_path / "scene"))


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Arguments of `mtmc track` for the looped scene with saved detections, without a model."""
    monkeypatch.setenv("COLUMNS", "160")
    recordings = looped_scene.write_recordings(tmp_path)
    detections = looped_scene.write_detections(tmp_path)
    return [
        *(f"{name}={path}" for name, path in recordings.items()),
        *(text for name, path in detections.items() for text in ("-d", f"{name}={path}")),
        *("--set", "embedder.weights=null", "-o", tmp_path / "results"),
    ]


def test_the_page_is_written_beside_the_rows(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = [text for name, path in write_truth(scene).items() for text in ("-g", f"{name}={path}")]
    assert mtmc("report", scene / "results", *truth) == 0
    said = capsys.readouterr().out
    assert f"Wrote {scene / 'results' / 'report.html'} (" in said
    assert "Against ground truth" in (scene / "results" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["."], 2, "error: . cannot be reported: it holds no results of `mtmc track`"),
        (["nowhere"], 2, "error: nowhere cannot be reported: it holds no results of `mtmc track`"),
        (["results", "-g", "left"], 2, "error: --ground-truth 'left': expected CAMERA=FILE"),
        (["results", "-g", "left=no.txt"], 2, "error: --ground-truth 'left=no.txt': there is no file no.txt"),
        (["results", "-r", "middle=left.mp4"], 2, "error: --recording names the camera 'middle'"),
        (["results", "-o", "left.mp4"], 2, "error: left.mp4 exists and is no report of mtmc"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    scene: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(scene)
    assert mtmc("report", *arguments) == code
    said = capsys.readouterr().err
    assert said.startswith(told)
    assert said.count("\n") == 1


def test_a_run_that_another_command_is_writing_is_left_alone(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FolderLock(scene / "results", "mtmc link", advice="wait", private=False):
        assert mtmc("report", scene / "results") == 2
    assert "mtmc link" in capsys.readouterr().err


def test_track_writes_a_report_and_prints_the_time_of_stages_on_request(
    tracked: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mtmc("track", *tracked, "--report") == 0
    said = capsys.readouterr().out
    assert "Seconds in view (stays)" in said
    assert "0 people and 15 fragments over all cameras (15 global ids)" in said
    assert "ms per camera frame" not in said
    assert (tmp_path / "results" / "report.html").is_file()
    shutil.copy(tmp_path / "results" / "report.html", tmp_path / "results" / "copy.html")
    assert mtmc("track", *tracked, "--overwrite", "-v") == 0
    assert "ms per camera frame" in capsys.readouterr().out
    # The old reports went with the old rows.
    assert list((tmp_path / "results").glob("*.html")) == []


def test_json_is_all_that_stdout_has(tracked: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert mtmc("track", *tracked, "--json", "--report") == 0
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    assert (content["people"], content["fragments"], content["rows"]) == (0, 15, 390)
    assert content["cameras"]["left"]["fragments"] == 9
    assert content["persons"][0]["stays"][0]["camera_id"] == "left"
    assert "Seconds in view" in captured.err
    assert "report.html" in captured.err


def purge(folder: Path) -> int:
    return mtmc("person", "purge", folder, "--id", 1)


def link(folder: Path) -> int:
    return mtmc("link", folder, "--overwrite")


@pytest.mark.parametrize(
    ("command", "told"),
    [(purge, "and the files report.html"), (link, "Deleted report.html, which showed the old ids")],
)
def test_a_report_does_not_outlive_its_ids(
    scene: Path, capsys: pytest.CaptureFixture[str], command: Callable[[Path], int], told: str
) -> None:
    folder = scene / "results"
    assert mtmc("report", folder) == 0
    assert mtmc("report", folder, "-o", folder / "copy.html", "--no-pictures") == 0
    (folder / "notes.html").write_text("<p>mine</p>")
    capsys.readouterr()
    assert command(folder) == 0
    said = capsys.readouterr().out
    assert told.replace("report.html", "copy.html, report.html") in said
    assert f"`mtmc report {folder}` writes a new" in said
    assert sorted(path.name for path in folder.glob("*.html")) == ["notes.html"]
    assert mtmc("report", folder) == 0
    text = (folder / "report.html").read_text()
    assert ("Person 1" in text) == (command is link)


def test_link_counts_people_and_fragments(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mtmc("link", scene / "results", "--overwrite") == 0
    assert "15 tracks of 2 cameras are 2 people and 3 fragments; 390 rows" in " ".join(
        capsys.readouterr().out.split()
    )
    note = json.loads((scene / "results" / "run.json").read_text())
    assert (note["global_ids"], note["fragments"]) == (5, 3)


def test_an_export_names_the_report(scene: Path, tmp_path: Path) -> None:
    assert mtmc("report", scene / "results") == 0
    assert mtmc("person", "export", scene / "results", "--id", 1, "-o", tmp_path / "export") == 0
    assert json.loads((tmp_path / "export" / "person-1.json").read_text())["also_shown_in"] == ["report.html"]


def test_purging_somebody_unknown_keeps_the_report(scene: Path) -> None:
    assert mtmc("report", scene / "results") == 0
    assert mtmc("person", "purge", scene / "results", "--id", 99) == 2
    assert (scene / "results" / "report.html").is_file()
