"""`mtmc convert`: what it says, what it refuses, and that a purge names the files it wrote."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.core.datatypes import Correction
from pipeline.scoring.evaluation import evaluate
from tests.helpers.demo_clips import cut_ground_truth
from tests.helpers.stored_runs import RUN_ID, live_run, recorded_run, row

NOW_S = 1_777_630_000.0
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; returns its exit code and what it printed, on one line."""

    def run_command(*arguments: str | Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(stop.value.code or 0), " ".join((printed.out + printed.err).split())

    return run_command


def test_what_was_written_and_left_out_is_said(tmp_path: Path, run: Run) -> None:
    rows = [
        row(1, "hall", 1, 0),
        row(1, "hall", 1, 1, (5.0, 5.0, 5.0, 9.0)),
        row(1, "hall", 1, 2, interpolated=True),
        row(2, "hall", 2, 2, class_name=" "),
        row(2, "hall", 2, 3, (0.0, 0.0, 700.0, 10.0), final=False),
        row(3, "hall", 2, 3),
    ]
    folder = recorded_run(
        tmp_path / "run",
        rows,
        state="running",
        config={"recording": {}, "cameras": [{"name": "hall", "crop_xyxy_px": [10, 20, 650, 380]}]},
    )
    code, said = run("convert", folder, "--to", "coco", "--output", tmp_path / "out", "--observed-only")
    assert code == 0
    for text in (
        "warning: 1 rows interpolated are left out",
        "warning: 1 rows with a box without area are left out",
        "warning: 1 rows without a class are left out",
        "warning: 1 rows whose track has a row in this frame already are left out",
        "the run has not noted its end: rows may be missing, and ids may change",
        "warning: 1 of 4 rows have a provisional id, which was decided during the run",
        "camera hall was tracked in the part 10, 20 to 650, 380 of its picture: boxes are in pixels of this part",
        "camera hall: it is unknown which frames were tracked, so those without rows are missing",
        "camera hall: 1 boxes reach beyond its picture of 640x360 px",
        f"{folder}: 2 rows of 1 cameras as coco in {tmp_path}/out/annotations/instances_hall.json, ",
    ):
        assert text in said, text


def test_files_are_private(tmp_path: Path, run: Run) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, 0)])
    old_mask = os.umask(0)
    try:
        assert run("convert", folder, "--to", "mot", "--output", tmp_path / "a" / "mot")[0] == 0
        assert run("convert", folder, "--to", "parquet", "--output", tmp_path / "rows.parquet")[0] == 0
    finally:
        os.umask(old_mask)
    modes = {
        name: stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("a/mot", "a/mot/hall.txt", "rows.parquet")
    }
    assert modes == {"a/mot": 0o700, "a/mot/hall.txt": 0o600, "rows.parquet": 0o600}


@pytest.mark.parametrize("target", ["coco", "cvat", "datumaro", "parquet", "mot", "fiftyone-script"])
def test_existing_files_are_replaced_on_request_only(tmp_path: Path, run: Run, target: str) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, 0)])
    arguments = ("convert", folder, "--to", target, "--output", tmp_path / "out")
    assert run(*arguments)[0] == 0
    code, said = run(*arguments)
    assert code == 2
    assert "already exists. Use --overwrite to replace it, or choose another --output" in said
    assert run(*arguments, "--overwrite")[0] == 0


def test_files_of_an_earlier_conversion_are_named(tmp_path: Path, run: Run) -> None:
    run(
        "convert",
        recorded_run(tmp_path / "old", [row(1, "yard", 1, 0)]),
        "--to",
        "mot",
        "--output",
        tmp_path / "out",
    )
    _, said = run(
        "convert", recorded_run(tmp_path / "new", [row(1, "hall", 1, 0)]), "--to", "mot", "-o", tmp_path / "out"
    )
    assert (
        f"out holds 1 other files, such as {tmp_path}/out/yard.txt; they are unchanged and not of this run" in said
    )


@pytest.mark.parametrize("place", ["", "mot"])
def test_the_run_itself_is_no_place_for_copies(tmp_path: Path, run: Run, place: str) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, 0)])
    code, said = run("convert", folder, "--to", "mot", "--output", folder / place, "--overwrite")
    assert (code, "is a folder of the run itself: choose another one" in said) == (2, True)


@pytest.mark.parametrize(
    ("size", "code", "message"),
    [
        (None, 2, "the picture size of camera hall is unknown, but coco needs it: give --size hall=WIDTHxHEIGHT"),
        ("hall=800x600", 0, "1 rows of 1 cameras as coco"),
        ("hall=800", 2, "--size hall='800': expected WIDTHxHEIGHT in pixels, such as 1920x1080"),
        ("hall=0x600", 2, "expected WIDTHxHEIGHT"),
        ("yard=800x600", 2, "--size yard: "),
    ],
)
def test_an_unknown_size_is_asked_for(tmp_path: Path, run: Run, size: str | None, code: int, message: str) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, 0)])
    (folder / "run.json").unlink()
    options = () if size is None else ("--size", size)
    found, said = run("convert", folder, "--to", "coco", "--output", tmp_path / "out", *options)
    assert (found, message in said) == (code, True), said
    if code == 0:
        assert json.loads((tmp_path / "out" / "all_cameras.json").read_text())["images"][0]["width"] == 800
    else:
        assert not (tmp_path / "out").exists()


def test_a_live_run_is_converted_with_corrected_ids(tmp_path: Path, run: Run) -> None:
    rows = [row(5, "hall", 1, 0, time_s=NOW_S, final=False), row(6, "hall", 2, 0, (0, 0, 9, 9), time_s=NOW_S)]
    folder = live_run(tmp_path / "run", rows, [Correction(NOW_S, "hall", 1, 5, 2, 0.9)])
    assert run("convert", folder, "--to", "mot", "--output", tmp_path / "out", "--run", RUN_ID)[0] == 0
    lines = (tmp_path / "out" / "hall.txt").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines] == [["1", "2"], ["1", "6"]]


def test_a_purge_names_the_converted_files(tmp_path: Path, run: Run) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, 0), row(2, "hall", 2, 0)])
    assert run("convert", folder, "--to", "cvat", "--output", tmp_path / "out")[0] == 0
    code, said = run("person", "purge", folder, "--id", "1")
    assert (code, f"not reached: {tmp_path}/out (cvat)" in said) == (0, True), said
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    _, said = run("person", "purge", folder, "--id", "2")
    assert f"not reached: {tmp_path}/out (cvat, no longer there)" in said


def test_a_run_that_cannot_be_written_is_converted_and_it_is_said(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, 0)])
    (folder / "copies.ndjson").mkdir()
    code, said = run("convert", folder, "--to", "mot", "--output", tmp_path / "out")
    assert code == 0
    assert f"`mtmc person purge` will not name {tmp_path}/out among what it does not reach" in said


def test_converted_mot_text_has_the_scores_of_the_run(tmp_path: Path, run: Run) -> None:
    """The ground truth of the demo scene as a run, with an id switch at frame 20."""
    cut_ground_truth("cam1", 40, tmp_path / "gt.txt", 100)
    rows = []
    for line in (tmp_path / "gt.txt").read_text().splitlines():
        frame, one, x, y, width, height = (float(text) for text in line.split(",")[:6])
        switched = int(one) + (100 if frame > 20 else 0)
        rows.append(row(switched, "cam1", switched, int(frame) - 1, (x, y, x + width, y + height)))
    folder = recorded_run(tmp_path / "run", rows)
    assert run("convert", folder, "--to", "mot", "--output", tmp_path / "out")[0] == 0
    files = {"cam1": tmp_path / "gt.txt"}
    of_run, of_text = (evaluate([path], files).to_dict() for path in (folder, tmp_path / "out"))
    assert of_run == of_text
    assert run("evaluate", "-t", tmp_path / "out", "-g", f"cam1={tmp_path / 'gt.txt'}")[0] == 0
