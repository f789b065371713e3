"""What each command that looks at a finished run says about a damaged one: a line that names the file, no traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import main
from tests.helpers.factories import make_tracklet, one_hot
from tests.helpers.page_client import client_of, summary_of
from tests.helpers.searched_runs import write_picture, write_run

ZONES = "zones: [{name: door, polygons_px: {hall: [[0, 0], [200, 0], [200, 300]]}}]\n"
OUTSIDE = "zones: [{name: door, polygons_px: {hall: [[5000, 5000], [6000, 5000], [6000, 6000]]}}]\n"
COMMANDS = {
    "report": ["report", "{run}", "--no-pictures"],
    "find": ["find", "{run}", "--id", "1"],
    "find a picture": ["find", "{run}", "--image", "{files}/grey.png"],
    "count": ["count", "{run}", "--config", "{files}/zones.yaml"],
    "count outside": ["count", "{run}", "--config", "{files}/outside.yaml"],
    "review": ["review", "{run}", "--export-ground-truth", "{files}/truth"],
    "convert": ["convert", "{run}", "--to", "coco", "--output", "{files}/coco"],
    "topology": ["topology", "{run}"],
    "explain": ["explain", "{run}", "--id", "1"],
}


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda run: (run / name).write_bytes(content) and None


def without(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def other_columns(run: Path) -> None:
    path = run / "trajectories.csv"
    path.write_text(path.read_text().replace("global_id", "person", 1))


def cut_off(run: Path) -> None:
    path = run / "tracklets.arrow"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def half_written(run: Path) -> None:
    note = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(note | {"state": "running"}))
    path = run / "trajectories.csv"
    path.write_bytes(path.read_bytes()[:-20])


def whole(run: Path) -> None:
    pass


FAULTS: dict[str, Callable[[Path], None]] = {
    "whole": whole,
    "other columns": other_columns,
    "half-written": half_written,
    "binary rows": write("trajectories.csv", b"\xff\xfe\0\0" * 50),
    "cut tracklets": cut_off,
    "corrupt tracklets": write("tracklets.arrow", bytes(500)),
    "no tracklets": without("tracklets.arrow"),
    "damaged note": write("run.json", b"{"),
    "no note": without("run.json"),
    "review of another version": write("review.ndjson", b'{"format": "mtmc review", "version": 2}\n'),
    "decisions of something else": write("decisions.jsonl", b"damage\n"),
}
NO_COLUMN = "trajectories.csv: the header has no column global_id. Give"
NO_TEXT = "not CSV text in UTF-8"
#: Fault, command, exit code and what is said.
SAID = [
    ("whole", "find a picture", 2, "embedder.weights is null: a search by picture needs the model of the run"),
    ("whole", "count outside", 2, "outside the picture of camera hall, which is 640x360"),
    ("whole", "explain", 2, "has no decisions.jsonl: track the recordings again"),
    *(("other columns", one, 2, NO_COLUMN) for one in ("report", "find", "convert", "topology")),
    ("other columns", "count", 2, "trajectories.csv"),
    ("other columns", "review", 2, "has other columns than this version of the program writes: 'person,"),
    ("half-written", "report", 0, "was cut off while it was written; its last line is left out"),
    ("half-written", "find", 0, "has not ended, or was killed: only tracks that had ended are searched"),
    ("half-written", "count", 2, "is half-written: its run is going on, or was killed"),
    ("half-written", "review", 2, "the state of the run is 'running', so its ids are not final: `mtmc link "),
    ("half-written", "convert", 0, "the run has not noted its end: rows may be missing"),
    ("half-written", "topology", 0, "the run has not noted its end: rows may be missing"),
    *(("binary rows", one, 2, NO_TEXT) for one in ("report", "find", "count", "convert", "topology")),
    ("binary rows", "review", 2, "trajectories.csv or its MOT text is no UTF-8"),
    ("cut tracklets", "report", 0, "tracklets.arrow is cut off"),
    ("cut tracklets", "find", 2, "no track of this person has a good crop"),
    ("cut tracklets", "review", 2, "tracklets.arrow is cut off"),
    ("corrupt tracklets", "report", 0, "is not a file of saved tracklets"),
    ("corrupt tracklets", "find", 2, "is not a file of saved tracklets"),
    ("corrupt tracklets", "review", 2, "is not a file of saved tracklets"),
    ("no tracklets", "report", 0, "tracklets.arrow is missing: it is not known which tracks are fragments"),
    ("no tracklets", "find", 2, "holds no results of `mtmc track` (trajectories.csv and tracklets.arrow)"),
    ("damaged note", "report", 0, "run.json is damaged"),
    ("damaged note", "find", 2, "run.json is missing or damaged"),
    ("damaged note", "count", 2, "run.json is missing, damaged or of another version"),
    ("damaged note", "review", 2, "run.json is missing or damaged, so the run cannot be corrected"),
    ("damaged note", "convert", 2, "but coco needs it: give --size hall=WIDTHxHEIGHT"),
    ("damaged note", "topology", 0, "run.json cannot be read (it is damaged)"),
    ("no note", "report", 0, "run.json is missing: there are no pictures"),
    ("no note", "find", 2, "run.json is missing or damaged"),
    ("no note", "count", 2, "run.json is missing, damaged or of another version"),
    ("no note", "review", 2, "run.json is missing or damaged, so the run cannot be corrected"),
    ("no note", "topology", 0, "run.json cannot be read (No such file or directory)"),
    *(
        ("review of another version", one, code, "review.ndjson is of version 2, but this program reads version 1")
        for one, code in (("report", 0), ("find", 0), ("review", 2), ("convert", 0))
    ),
    ("decisions of something else", "report", 0, "decisions.jsonl"),
    ("decisions of something else", "explain", 2, "decisions.jsonl"),
]
#: What the page of finished runs says: an error, or one of its notes.
ON_THE_PAGE = [
    ("other columns", "the header has no column global_id"),
    ("half-written", "The run was killed, or is still running"),
    ("binary rows", NO_TEXT),
    ("cut tracklets", "are not in "),
    ("corrupt tracklets", "is not a file of saved tracklets"),
    ("damaged note", "run.json is damaged"),
    ("review of another version", "review.ndjson is of version 2"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `good`, and files to name in commands."""
    folder = tmp_path_factory.mktemp("files")
    tracklets = [
        make_tracklet("hall", 1, 0.0, 5.0, one_hot(0, 0)),
        make_tracklet("yard", 1, 10.0, 12.0, one_hot(0, 0)),
        make_tracklet("yard", 2, 20.0, 22.0, one_hot(1, 1)),
    ]
    run = write_run(folder / "good", tracklets, {("hall", 1): 1, ("yard", 1): 1, ("yard", 2): 2})
    note = json.loads((run / "run.json").read_text())
    for camera in note["cameras"].values():
        camera |= {"size_wh": [640, 360], "frame_rate": 1.0, "frames": 30, "index_step": 1, "late_frames": 0}
    (run / "run.json").write_text(json.dumps(note))
    (folder / "zones.yaml").write_text(ZONES)
    (folder / "outside.yaml").write_text(OUTSIDE)
    write_picture(folder / "grey.png", (60, 150), [])
    return folder


def damaged(files: Path, folder: Path, fault: str) -> Path:
    run = Path(shutil.copytree(files / "good", folder / "run"))
    FAULTS[fault](run)
    return run


@pytest.mark.parametrize(("fault", "command", "code", "words"), SAID, ids=lambda one: str(one)[:30])
def test_a_line_says_what_is_wrong(
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    command: str,
    code: int,
    words: str,
) -> None:
    run = damaged(files, tmp_path, fault)
    (tmp_path / "grey.png").write_bytes((files / "grey.png").read_bytes())
    for name in ("zones.yaml", "outside.yaml"):
        shutil.copy(files / name, tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([text.format(run=run, files=tmp_path) for text in COMMANDS[command]])
    printed = capsys.readouterr()
    # Lines of the log are wrapped, also in the middle of a path.
    said = "".join((printed.out + printed.err).split())
    assert int(stop.value.code or 0) == code, said
    assert "".join(words.split()) in said
    assert "Traceback" not in said
    if code:
        (line,) = (line for line in printed.err.splitlines() if line.startswith("error: "))
        assert line.endswith(printed.err.splitlines()[-1][-20:])


@pytest.mark.parametrize(("fault", "words"), ON_THE_PAGE)
def test_the_page_says_what_is_wrong(files: Path, tmp_path: Path, fault: str, words: str) -> None:
    answer = summary_of(client_of(damaged(files, tmp_path, fault)))
    assert words in " ".join([answer.get("error", ""), *answer.get("gaps", [])])
