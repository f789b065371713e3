"""The command line as people use it: exit codes, one clear line for each mistake, nothing lost."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.main import get_command

from pipeline.cli import app, main
from pipeline.commands.lazy import Lazy
from pipeline.commands.track import track_with_progress
from pipeline.config.config import load_config, named_sources
from pipeline.core.errors import InputError, RunError
from pipeline.core.paths import PROJECT_ROOT
from tests.helpers.media import grey_picture, noisy_picture, write_pictures, write_video

# Nothing here needs a model: boxes come from a text file and appearance is off.
BLIND = ["--set", "embedder.weights=null"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with two short videos, and boxes of one person who walks through both."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", [grey_picture(i % 8, (160, 120)) for i in range(24)])
        write_boxes(tmp_path / f"{name}.txt", frames=24)
    return tmp_path


def write_boxes(path: Path, frames: int) -> None:
    """MOT text: one person, 40x80 px, who moves 3 px a frame."""
    path.write_text("".join(f"{i + 1},-1,{10 + 3 * i},20,40,80,0.9\n" for i in range(frames)))


def exit_code(*arguments: str) -> int:
    """Run the command line; its exit code."""
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    code = stop.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def blind_track(*arguments: str) -> int:
    return exit_code("track", "a=a.mp4", "b=b.mp4", "-d", "a=a.txt", "-d", "b=b.txt", *BLIND, *arguments)


def test_version_and_help_say_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert re.match(r"mtmc \d+\.\d+", capsys.readouterr().out)
    assert exit_code("--help") == 0
    listed = capsys.readouterr().out
    for command in ("track", "evaluate", "link", "demo", "benchmark", "reid", "detectors"):
        assert command in listed


@pytest.mark.parametrize(
    "command",
    [
        "track",
        "evaluate",
        "link",
        "demo",
        "homography",
        "benchmark",
        "benchmark trackers",
        "benchmark embedders",
        "benchmark speed",
        "benchmark memory",
        "benchmark association",
        "benchmark second-pass",
    ],
)
def test_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*command.split(), "--help") == 0
    assert f"mtmc {command}" in capsys.readouterr().out


def test_track_writes_the_trajectories_of_all_cameras(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "out") == 0
    rows = rows_of(folder / "out" / "trajectories.csv")
    # Every box of the one person in each camera, also those from before the track was confirmed.
    assert [(row["camera_id"], int(row["frame_index"])) for row in rows] == [
        (camera, frame) for frame in range(24) for camera in ("a", "b")
    ]
    assert {row["link_state"] for row in rows} == {"final"}
    # Without appearance and floor positions nothing links the two cameras.
    assert len({row["global_id"] for row in rows}) == 2
    assert len((folder / "out" / "mot" / "a.txt").read_text().splitlines()) == 24
    note = json.loads((folder / "out" / "run.json").read_text())
    assert note["state"] == "complete"
    assert note["cameras"]["a"]["frames"] == 24
    assert note["config"]["tracker"]["max_lost_s"] == 2.0
    assert "0 people and 2 fragments over all cameras (2 global ids)" in capsys.readouterr().out


LONG = "x" * 5000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["track", f"{LONG}.mp4"], "xxx...: File name too long", id="long source"),
        pytest.param(["track", f"a={LONG}"], "xxx...: File name too long", id="long source of a camera"),
        pytest.param(["track", "a=a.mp4", "-d", f"a={LONG}"], "xxx...: File name too long", id="long detections"),
        pytest.param(
            ["track", "a=a.mp4", "-d", "a=a.txt", *BLIND, "-o", LONG], "File name too long", id="long output"
        ),
        pytest.param(
            ["track", "a=a.mp4", "-d", "a=a.txt", *BLIND, "-o", "loop", "--overwrite"], "loop", id="loop of links"
        ),
        pytest.param(["track", ""], "SOURCE '' is empty", id="empty source"),
        pytest.param(["track", "a="], "SOURCE 'a=' is empty", id="empty source of a camera"),
        pytest.param(
            ["track", "a=a.mp4", "-s", "cameras.0.source=''"],
            "cameras.0.source: the path is empty",
            id="set empty",
        ),
        pytest.param(
            ["track", "a=\x1b[2J\nb.mp4"], r"camera a: no file matches the pattern \x1b[2J\nb", id="control"
        ),
        pytest.param(
            ["evaluate", "-t", "a.csv", "-g", "a=a.txt", "--ground-truth-classes", "9" * 5000],
            "expected numbers with commas",
            id="huge class",
        ),
        pytest.param(
            ["evaluate", "-t", "a.csv", "-g", "a=a.txt", "--ground-truth-stride", "9" * 30],
            "Invalid value for '--ground-truth-stride'",
            id="huge stride",
        ),
    ],
)
def test_names_and_numbers_that_cannot_be_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (folder / "loop").symlink_to("loop")
    assert exit_code(*arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert "\x1b" not in told
    assert sum(line.startswith(("error: ", "failed: ")) for line in told.splitlines()) <= 1


def test_a_folder_where_a_file_should_be_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "out") == 0
    (folder / "out" / "trajectories.csv").unlink()
    (folder / "out" / "trajectories.csv").mkdir()
    assert exit_code("person", "export", "out", "--id", "1") == 1
    assert (
        "failed: out/trajectories.csv: Is a directory. Nobody has the id 1 in the files" in capsys.readouterr().err
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have names in Unicode only")
def test_names_need_not_be_text_in_utf_8(folder: Path) -> None:
    """As on disks of older systems; names of results, detections and ground truth."""
    output, boxes = os.fsdecode(b"\xdcberwachung"), os.fsdecode(b"h\xf6fe.txt")
    (folder / boxes).write_text((folder / "a.txt").read_text().replace(",-1,", ",1,"))
    options = ["-o", output, "--save-detections"]
    assert exit_code("track", "a=a.mp4", "-d", f"a={boxes}", *BLIND, *options) == 0
    assert exit_code("evaluate", "-t", output, "-g", f"a={boxes}") == 0
    saved = f"a={output}/detections/a.parquet"
    assert exit_code("track", "a=a.mp4", "-d", saved, *BLIND, "-o", "again") == 0
    assert (folder / "again" / "trajectories.csv").read_bytes() == (
        folder / output / "trajectories.csv"
    ).read_bytes()
    assert exit_code("link", output, "-o", f"{output}2") == 0
    assert exit_code("person", "purge", output, "--id", "1", "--delete-shared") == 0
    assert rows_of(folder / output / "trajectories.csv") == []


def test_results_are_not_written_through_a_link_that_leads_nowhere(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "trajectories.csv").symlink_to(folder / "elsewhere.csv")
    assert blind_track("-o", "out") == 2
    assert "out/trajectories.csv already exists. Use --overwrite" in capsys.readouterr().err
    assert blind_track("-o", "out", "--overwrite") == 0
    assert not (folder / "elsewhere.csv").exists()
    assert len(rows_of(folder / "out" / "trajectories.csv")) == 48


def test_cameras_of_which_no_frame_is_used_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "out", "--start", "5", "-s", "cameras.1.start_s=4") == 0
    told = capsys.readouterr()
    logged = " ".join(told.err.split())
    assert "camera a: no frame lies in the part of the recordings that is used, from 5 s to the end" in logged
    assert "camera b: no frame" not in logged
    assert blind_track("-o", "out", "--overwrite", "--end", "-1") == 0
    assert "No frame of any recording was used." in capsys.readouterr().out


def test_same_input_gives_the_same_bytes(folder: Path) -> None:
    assert blind_track("-o", "one") == 0
    assert blind_track("-o", "two") == 0
    for name in ("trajectories.csv", "mot/a.txt", "mot/b.txt"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_saved_detections_replay_without_the_video(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "one", "--save-detections") == 0
    saved = [f"{name}=one/detections/{name}.parquet" for name in ("a", "b")]
    assert exit_code("track", "-d", saved[0], "-d", saved[1], "-o", "two") == 0
    # The configured model is of no matter where there are no embeddings.
    assert "calibrated" not in capsys.readouterr().err
    assert (folder / "one/trajectories.csv").read_bytes() == (folder / "two/trajectories.csv").read_bytes()


def test_saved_detections_without_pictures_make_no_video(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "one", "--save-detections") == 0
    saved = [f"{name}=one/detections/{name}.parquet" for name in ("a", "b")]
    assert exit_code("track", "-d", saved[0], "-d", saved[1], "-o", "two", "--video") == 2
    assert "name the SOURCE of each camera" in capsys.readouterr().err
    assert not (folder / "two").exists()


def test_transit_windows_of_saved_detections_name_their_cameras(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blind_track("-o", "one", "--save-detections") == 0
    saved = [f"{name}=one/detections/{name}.parquet" for name in ("a", "b")]
    window = "linker.transit_windows=[{from: a, to: hall, min_s: 0, max_s: 5}]"
    for arguments in (["track", "-d", saved[0], "-d", saved[1]], ["link", "one"]):
        assert exit_code(*arguments, "-o", "two", "--set", window) == 2
        assert "transit window names camera 'hall'; the cameras are a, b" in capsys.readouterr().err
    assert not (folder / "two").exists()


def test_overwriting_never_deletes_the_detections_that_are_replayed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blind_track("-o", "out", "--save-detections") == 0
    saved = [f"{name}=out/detections/{name}.parquet" for name in ("a", "b")]
    assert exit_code("track", "-d", saved[0], "-d", saved[1], "-o", "out", "--overwrite") == 2
    assert "choose another --output" in capsys.readouterr().err
    assert (folder / "out/detections/a.parquet").is_file()


def test_interpolation_fills_a_gap_and_marks_it(folder: Path) -> None:
    lines = (folder / "a.txt").read_text().splitlines()
    (folder / "a.txt").write_text("\n".join(lines[:10] + lines[13:]) + "\n")
    assert blind_track("-o", "out", "--interpolate") == 0
    rows = [row for row in rows_of(folder / "out/trajectories.csv") if row["camera_id"] == "a"]
    filled = [row for row in rows if row["interpolated"] == "1"]
    assert [int(row["frame_index"]) for row in filled] == [10, 11, 12]
    # The person moves 3 px a frame, so straight lines give the boxes back exactly.
    assert [float(row["x1"]) for row in filled] == pytest.approx([40, 43, 46])


def test_video_of_the_result_plays(folder: Path) -> None:
    import av

    assert blind_track("-o", "out", "--video") == 0
    with av.open(str(folder / "out/trajectories.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in container.decode(video=0)) == 24


def test_link_again_changes_only_the_ids(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "out") == 0
    before = rows_of(folder / "out/trajectories.csv")
    assert exit_code("link", "out", "-o", "again") == 0
    assert "2 tracks of 2 cameras are 0 people and 2 fragments; 48 rows" in " ".join(
        capsys.readouterr().out.split()
    )
    assert rows_of(folder / "again/trajectories.csv") == before
    assert exit_code("link", "out") == 2  # would change out in place
    assert exit_code("link", "out", "-o", "out") == 2  # so would this
    assert exit_code("link", "out", "--overwrite") == 0
    assert exit_code("link", "out", "-o", "./out", "--overwrite") == 0


def test_what_was_linked_again_can_be_linked_again_and_says_what_it_is(folder: Path) -> None:
    assert blind_track("-o", "out") == 0
    before = json.loads((folder / "out/run.json").read_text())
    strict = ["--set", "second_pass.max_cosine_distance=0.2"]
    assert exit_code("link", "out", "-o", "again", *strict) == 0
    assert exit_code("link", "again", "-o", "third") == 0
    note = json.loads((folder / "again/run.json").read_text())
    assert note["config"]["second_pass"]["max_cosine_distance"] == 0.2
    assert (note["global_ids"], note["rows"]) == (2, 48)
    assert note["config"]["tracker"] == before["config"]["tracker"]
    assert note["cameras"] == before["cameras"]


def test_linking_again_starts_from_the_settings_of_the_run(folder: Path) -> None:
    (folder / "own.yaml").write_text(
        "linker: {transit_windows: [{from: a, to: b, min_s: 5, max_s: 60}], identity_memory_s: 77}\n"
        "second_pass: {max_cosine_distance: 0.25}\noutput: {interpolate: true}\n"
    )
    lines = (folder / "a.txt").read_text().splitlines()
    (folder / "a.txt").write_text("\n".join(lines[:10] + lines[13:]) + "\n")
    assert blind_track("-o", "out", "-c", "own.yaml") == 0
    run = json.loads((folder / "out/run.json").read_text())["config"]
    assert exit_code("link", "out", "-o", "again") == 0
    assert json.loads((folder / "again/run.json").read_text())["config"] == run
    assert (folder / "again/trajectories.csv").read_bytes() == (folder / "out/trajectories.csv").read_bytes()
    assert exit_code("link", "out", "-o", "set", "--set", "linker.identity_memory_s=88") == 0
    linker = json.loads((folder / "set/run.json").read_text())["config"]["linker"]
    assert linker == {**run["linker"], "identity_memory_s": 88}
    (folder / "other.yaml").write_text("linker: {identity_memory_s: 99}\n")
    assert exit_code("link", "out", "-o", "other", "-c", "other.yaml") == 0
    linker = json.loads((folder / "other/run.json").read_text())["config"]["linker"]
    assert (linker["identity_memory_s"], linker["transit_windows"]) == (99, [])


def test_a_configuration_of_another_version_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "out") == 0
    note = json.loads((folder / "out/run.json").read_text())
    note["config"]["linker"]["speed"] = 3
    (folder / "out/run.json").write_text(json.dumps(note))
    assert exit_code("link", "out", "-o", "again") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "linker.speed" in message
    assert "give --config" in message


def test_a_damaged_note_stops_linking_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blind_track("-o", "out") == 0
    for text in ("{", "[]", '{"epoch_utc": "yesterday"}', '{"epoch_utc": null, "config": 3}'):
        (folder / "out/run.json").write_text(text)
        assert exit_code("link", "out", "-o", "again") == 2
        assert "run.json is missing or damaged" in capsys.readouterr().err
        assert not (folder / "again").exists()


def test_evaluate_scores_cameras_and_all_of_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "out") == 0
    truth = "".join(f"{i + 1},7,{10 + 3 * i},20,40,80,1,1,1\n" for i in range(24))
    (folder / "gt.txt").write_text(truth)
    arguments = ["evaluate", "-t", "out/trajectories.csv", "-g", "a=gt.txt", "-g", "b=gt.txt", "--json", "s.json"]
    assert exit_code(*arguments) == 0
    scores = json.loads((folder / "s.json").read_text())
    assert scores["cameras"]["a"]["idf1"] == pytest.approx(1)
    # One person, two ids: half of the boxes have the right one.
    assert scores["all_cameras"]["idf1"] == pytest.approx(0.5)
    assert scores["perfect_linking"]["idf1"] == pytest.approx(1)
    assert "IDF1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "found", "note"),
    [
        ([], 45, "without interpolated rows"),
        (["--observed-only"], 45, "without interpolated rows"),
        (["--interpolated"], 48, "with interpolated rows"),
    ],
)
def test_interpolated_rows_are_scored_on_request(
    folder: Path, capsys: pytest.CaptureFixture[str], option: list[str], found: int, note: str
) -> None:
    """Three of the 24 boxes of a camera are filled in."""
    lines = (folder / "a.txt").read_text().splitlines()
    (folder / "a.txt").write_text("\n".join(lines[:10] + lines[13:]) + "\n")
    assert blind_track("-o", "out", "--interpolate") == 0
    (folder / "gt.txt").write_text("1,7,10,20,40,80,1,1,1\n")
    arguments = ["evaluate", "-t", "out/trajectories.csv", "-g", "a=gt.txt", "-g", "b=gt.txt", "--json", "s.json"]
    assert exit_code(*arguments, *option) == 0
    scores = json.loads((folder / "s.json").read_text())
    assert scores["all_cameras"]["predicted_boxes"] == found
    assert scores["interpolated"] == (option == ["--interpolated"])
    assert note in capsys.readouterr().out


def test_evaluate_takes_mot_text_and_tells_what_it_leaves_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blind_track("-o", "out") == 0
    (folder / "gt.txt").write_text("".join(f"{i + 1},7,{10 + 3 * i},20,40,80,1,0,1\n" for i in range(0, 24, 3)))
    truth = ["-g", "a=gt.txt", "-g", "b=gt.txt", "--json", "s.json"]
    results = (["out/trajectories.csv"], ["out"], ["out/mot"], ["out/mot/a.txt", "out/mot/b.txt"])
    for result in results:
        capsys.readouterr()
        options = [part for one in result for part in ("-t", one)]
        assert exit_code("evaluate", *options, *truth) == 0
        scores = json.loads((folder / "s.json").read_text())
        assert scores["cameras"]["a"]["mota"] == pytest.approx(1)
        assert (scores["all_cameras"]["predicted_boxes"], scores["all_cameras"]["idf1"]) == (
            16,
            pytest.approx(0.5),
        )
        said = " ".join(capsys.readouterr().out.split())
        assert "the class of all rows is 0 (8); the class column is not used" in said
        assert "every 3rd frame has ground truth, and only these are scored: 16 of 24 predicted boxes" in said
        assert len(scores["warnings"]) == 4
    assert exit_code("evaluate", "-t", "out", *truth, "--ground-truth-stride", "1") == 0
    assert json.loads((folder / "s.json").read_text())["all_cameras"]["predicted_boxes"] == 48
    for classes, code in (("0", 0), ("all", 0), ("1, 2", 0), ("person", 2), ("", 2)):
        assert exit_code("evaluate", "-t", "out", *truth, "--ground-truth-classes", classes) == code
    assert exit_code("evaluate", "-t", "out", *truth, "--class-name", "pedestrian") == 2
    assert "its classes: person (48)" in " ".join(capsys.readouterr().err.split())


def test_settings_of_a_camera_named_as_source_are_applied(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blind_track("-o", "out", "--set", "cameras.1.start_s=5") == 0
    times = {row["camera_id"]: float(row["time_s"]) for row in reversed(rows_of(folder / "out/trajectories.csv"))}
    assert times == {"a": 0.0, "b": 5.0}
    assert blind_track("-o", "out2", "--set", "cameras.2.start_s=5") == 2
    assert "cameras.2: cameras has 2 entries" in capsys.readouterr().err


@pytest.mark.parametrize(("first", "stride"), [(1, 2), (2, 2), (1, 3)])
def test_saved_boxes_of_every_nth_frame_are_tracked_at_that_rate(
    folder: Path, capsys: pytest.CaptureFixture[str], first: int, stride: int
) -> None:
    frames = range(first, 25, stride)
    for name in "ab":
        boxes = "".join(f"{frame},-1,{10 + 3 * frame},20,40,80,0.9\n" for frame in frames)
        (folder / f"{name}.txt").write_text(boxes)
    assert blind_track("-o", "out") == 0
    rows = [row for row in rows_of(folder / "out/trajectories.csv") if row["camera_id"] == "a"]
    assert [int(row["frame_index"]) + 1 for row in rows] == list(frames)
    assert len({row["track_id"] for row in rows}) == 1
    assert f"hold every {stride}{'nd' if stride == 2 else 'rd'} frame" in " ".join(capsys.readouterr().err.split())
    for chosen, code in ((2 * stride, 0 if first == 1 else 2), (5, 2)):
        assert blind_track("-o", "out2", "--overwrite", "--stride", str(chosen)) == code


def test_saved_boxes_of_another_recording_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_boxes(folder / "a.txt", frames=40)
    assert blind_track("-o", "out") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "a.txt: 16 of 40 boxes are not used, because they are in frames after 24" in said
    assert "b.txt" not in said


def test_results_that_cannot_be_replaced_stay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blind_track("-o", "out") == 0
    before = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    (folder / "out/trajectories.mp4").mkdir()
    assert blind_track("-o", "out", "--overwrite") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "out/trajectories.mp4 cannot be replaced (it is a folder), and nothing was deleted" in said
    after = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before} == before
    (folder / "out/trajectories.mp4").rmdir()
    (folder / "out/.replaced-killed").mkdir()
    assert blind_track("-o", "out", "--overwrite") == 0
    assert not list((folder / "out").glob(".replaced*"))


@pytest.mark.parametrize("name", ["out[/x]", "a[bold]b", "[/]", "x" * 255])
def test_any_name_of_the_output_is_printed_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert blind_track("-o", name) == 0
    said = "".join(capsys.readouterr().out.split())
    assert f"Wrote48rowsto{name}/trajectories.csv" in said
    truth = ["-g", "a=gt.txt", "-g", "b=gt.txt", "--json", "s.json"]
    (folder / "gt.txt").write_text("1,7,10,20,40,80,1,1,1\n")
    for command in (["link", name, "--overwrite"], ["evaluate", "-t", name, *truth]):
        assert exit_code(*command) == 0


def test_a_recording_with_a_long_name(folder: Path) -> None:
    long = "x" * 250
    (folder / "a.mp4").rename(folder / f"{long}.mp4")
    arguments = ["track", f"{long}.mp4", "-d", f"{long[:200]}=a.txt", *BLIND, "-o", "out", "--save-detections"]
    assert exit_code(*arguments) == 0
    assert [path.stem for path in (folder / "out/mot").iterdir()] == [long[:200]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_standard_output_is_said(folder: Path) -> None:
    arguments = ["a=a.mp4", "b=b.mp4", "-d", "a=a.txt", "-d", "b=b.txt", *BLIND, "-o", "out"]
    code = "import sys; from pipeline.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "track", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "failed: the standard output cannot be written (No space left on device)" in done.stderr
    assert len(rows_of(folder / "out/trajectories.csv")) == 48


def test_evaluate_crops_ground_truth_as_the_configuration_crops_the_camera(folder: Path) -> None:
    (folder / "cropped.yaml").write_text(
        "cameras:\n  - {name: a, source: a.mp4, crop_xyxy_px: [60, 0, 160, 120]}\nembedder: {weights: null}\n"
    )
    # 40 px wide boxes from x = 10 + 3 i: at least half is right of x = 60 from i = 10 on.
    (folder / "a.txt").write_text(
        "".join(f"{i + 1},-1,{max(10 + 3 * i - 60, 0)},20,{min(3 * i - 10, 40)},80,0.9\n" for i in range(10, 24))
    )
    assert exit_code("track", "-c", "cropped.yaml", "-d", "a=a.txt", "-o", "out") == 0
    (folder / "gt.txt").write_text("".join(f"{i + 1},7,{10 + 3 * i},20,40,80,1,1,1\n" for i in range(24)))
    evaluate = [
        "evaluate",
        "-t",
        "out/trajectories.csv",
        "-g",
        "a=gt.txt",
        "-c",
        "cropped.yaml",
        "--json",
        "s.json",
    ]
    assert exit_code(*evaluate) == 0
    scores = json.loads((folder / "s.json").read_text())["cameras"]["a"]
    assert scores["ground_truth_boxes"] == 14
    assert scores["idf1"] == pytest.approx(1)


def test_nobody_in_the_whole_recording(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.txt").write_text("")
    (folder / "b.txt").write_text("")
    assert blind_track("-o", "out") == 0
    assert rows_of(folder / "out/trajectories.csv") == []
    assert "Nobody was found" in capsys.readouterr().out


def make_truncated(folder: Path) -> None:
    """b.ts ends in the middle of its data."""
    whole = write_video(folder / "whole.ts", [noisy_picture(i, (160, 120)) for i in range(24)], codec="mpeg2video")
    (folder / "b.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


def make_other_size(folder: Path) -> None:
    (folder / "b.mp4").unlink()
    (folder / "b.mp4").mkdir()
    write_pictures(folder / "b.mp4", [grey_picture(0, (160, 120))] * 12 + [grey_picture(0, (80, 60))] * 12)


def make_not_a_video(folder: Path) -> None:
    (folder / "b.mp4").write_text("these are not the pictures you are looking for")


def make_empty_folder(folder: Path) -> None:
    (folder / "b.mp4").unlink()
    (folder / "b.mp4").mkdir()


def make_typo(folder: Path) -> None:
    (folder / "bad.yaml").write_text("tracker:\n  max_lost_secs: 3\n")


def nothing(folder: Path) -> None:
    """The arguments alone are wrong."""


def make_result(folder: Path) -> None:
    assert blind_track("-o", "out") == 0


@pytest.mark.parametrize(
    ("prepare", "arguments", "code", "said"),
    [
        pytest.param(nothing, ["track", "c.mp4"], 2, "c.mp4 does not exist", id="missing file"),
        pytest.param(make_not_a_video, ["track", "b.mp4"], 2, "cannot be opened as a video", id="no video"),
        pytest.param(make_empty_folder, ["track", "b.mp4"], 2, "holds no pictures", id="zero frames"),
        pytest.param(nothing, ["track", "x=a.mp4", "x=b.mp4"], 2, "camera 'x' is named twice", id="camera twice"),
        pytest.param(nothing, ["track"], 2, "there is no camera", id="no camera"),
        pytest.param(make_typo, ["track", "a.mp4", "-c", "bad.yaml"], 2, "max_lost_secs: unknown key", id="typo"),
        pytest.param(nothing, ["track", "a.mp4", "-s", "tracker.max_lost_s=soon"], 2, "'soon'", id="wrong type"),
        pytest.param(
            nothing,
            ["track", "a.mp4", "--video", "-s", "output=soon"],
            2,
            "output: Input should be",
            id="no section",
        ),
        pytest.param(
            nothing,
            ["benchmark", "association", "-s", "embedder=soon"],
            2,
            "embedder: Input should be",
            id="nor here",
        ),
        pytest.param(
            nothing, ["track", "rtsp://me:dark@host"], 2, "camera host: rtsp://host is a live", id="stream"
        ),
        pytest.param(nothing, ["track", "a.mp4", "-c", "no.yaml"], 2, "no.yaml: cannot read", id="no config"),
        pytest.param(
            nothing, ["track", "a.mp4", "-d", "b=b.txt"], 2, "only on one side", id="other camera's boxes"
        ),
        pytest.param(nothing, ["track", "a.mp4", "-d", "b.txt"], 2, "expected CAMERA=FILE", id="unnamed boxes"),
        pytest.param(
            nothing,
            ["track", "a.mp4", "-s", "detector.weights=gone/yolo.pt"],
            2,
            "gone/yolo.pt",
            id="weights not there",
        ),
        pytest.param(
            make_result,
            ["track", "a=a.mp4", "b=b.mp4", "-d", "a=a.txt", "-d", "b=b.txt", *BLIND, "-o", "out"],
            2,
            "already exists. Use --overwrite",
            id="results there",
        ),
        pytest.param(nothing, ["link", "nowhere"], 2, "holds no results", id="link nothing"),
        pytest.param(
            nothing, ["evaluate", "-t", "no.csv", "-g", "a=a.txt"], 2, "no.csv", id="evaluate a missing CSV"
        ),
        pytest.param(nothing, ["evaluate", "-t", "no.csv", "-g", "a=no.txt"], 2, "no.txt", id="no ground truth"),
        pytest.param(nothing, ["track", "a.mp4", "--no-such-option"], 2, "no-such-option", id="unknown option"),
    ],
)
def test_bad_input_gives_one_clear_line_and_an_exit_code(
    prepare: Callable[[Path], None],
    arguments: list[str],
    code: int,
    said: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(folder)
    capsys.readouterr()
    before = sorted(path for path in folder.rglob("*"))
    assert exit_code(*arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    # Nothing was written before the mistake was found.
    assert sorted(path for path in folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        pytest.param(make_truncated, "camera b", id="breaks in the middle"),
        pytest.param(make_other_size, "the picture is 80x60, but the first one is 160x120", id="size changes"),
    ],
)
def test_a_recording_that_breaks_keeps_what_was_done(
    prepare: Callable[[Path], None], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(folder)
    (folder / "site.yaml").write_text(
        "cameras:\n  - {name: a, source: a.mp4}\n  - {name: b, source: b.mp4, frame_rate: 10}\n"
        "embedder: {weights: null}\n"
    )
    assert exit_code("track", "-c", "site.yaml", "-d", "a=a.txt", "-d", "b=b.txt", "-o", "out") == 1
    assert said in capsys.readouterr().err
    rows = rows_of(folder / "out/trajectories.csv")
    frames = {name: sum(row["camera_id"] == name for row in rows) for name in ("a", "b")}
    assert frames["a"] == 24
    assert 3 <= frames["b"] < 24
    note = json.loads((folder / "out/run.json").read_text())
    assert note["state"] == "incomplete"
    assert said in note["cameras"]["b"]["problem"]


def test_a_checkpoint_of_another_architecture_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.numpy import save_file

    save_file({"conv.weight": np.zeros((4, 3), np.float32)}, folder / "other.safetensors")
    arguments = ["-d", "a=a.txt", "-d", "b=b.txt", "-s", "embedder.weights=other.safetensors", "-o", "out"]
    assert exit_code("track", "a=a.mp4", "b=b.mp4", *arguments) == 2
    assert "other.safetensors" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_the_command_line_starts_without_the_large_packages() -> None:
    """They take seconds and a hundred megabytes; a command imports what it needs when it runs."""
    large = ("torch", "ultralytics", "openvino", "trackeval", "scipy", "matplotlib")
    code = f"import sys, pipeline.cli; print([name for name in {large} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
@pytest.mark.parametrize("arguments", [["--help"], ["reid", "-h"], ["--version"]])
def test_help_costs_little(arguments: list[str]) -> None:
    """No library of a command is loaded to list it."""
    code = (
        "import resource, sys\n"
        "from pipeline.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        # Not ru_maxrss, which remembers the process that this one was forked from.
        "    peak_kb = [l for l in open('/proc/self/status') if l.startswith('VmHWM')][0].split()[1]\n"
        "    print('\\n', used.ru_utime + used.ru_stime, int(peak_kb) / 1024, 'numpy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cpu_s, memory_mb, numpy_loaded = done.stdout.splitlines()[-1].split()
    assert float(cpu_s) < 1
    assert float(memory_mb) < 100
    assert numpy_loaded == "False"


def commands_of(group: Any, *above: str) -> Iterator[tuple[tuple[str, ...], Lazy]]:
    for name, one in group.lazy.items():
        yield (*above, name), one
        if one.module == "pipeline.commands.reid.app":
            yield from commands_of(get_command(one.load_target()), name)


@pytest.mark.parametrize(
    ("names", "lazy"), [pytest.param(*x, id=" ".join(x[0])) for x in commands_of(get_command(app))]
)
def test_a_listed_command_says_of_itself_what_the_list_says(names: tuple[str, ...], lazy: Lazy) -> None:
    help_text = lazy.load(names[-1]).help
    assert lazy.summary == " ".join(help_text.split("\n\n")[0].split()) != ""


@pytest.mark.parametrize("arguments", [["-vv", "homography"], ["homography", "-vv"], ["homography", "-v", "-v"]])
def test_verbosity_may_stand_before_and_after_the_command(arguments: list[str]) -> None:
    assert exit_code(*arguments, "--pairs", "none.csv") == 2
    assert logging.getLogger().level == logging.DEBUG
    assert exit_code("-q", "homography", "--pairs", "none.csv") == 2
    assert logging.getLogger().level == logging.ERROR


@pytest.mark.parametrize("command", ["purge", "export"])
def test_a_renamed_command_works_and_says_its_new_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, "nowhere", "--id", "3") == 2
    renamed = capsys.readouterr().err
    assert f"`mtmc person {command}` now" in renamed
    assert exit_code("person", command, "nowhere", "--id", "3") == 2
    assert capsys.readouterr().err == "".join(renamed.splitlines(keepends=True)[1:])


def test_a_mistyped_command_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("tarck") == 2
    assert "Did you mean 'track'?" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        pytest.param(InputError("no such file"), 2, "error: no such file\n", id="input"),
        pytest.param(RunError("diverged"), 1, "failed: diverged\n", id="run"),
        pytest.param(
            ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
            1,
            "failed: the system lacks libGL.so.1 (cannot open shared object file), which OpenCV needs: "
            "apt-get install libgl1 libglib2.0-0 (Debian, Ubuntu), dnf install mesa-libGL glib2 (Fedora); "
            "see docs/installing.md\n",
            id="a slim container",
        ),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    error: Exception, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.cli.app", fail)
    assert exit_code("track") == code
    assert capsys.readouterr().err == line


def test_an_import_that_fails_for_another_reason_is_a_mistake_of_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImportError("no module named 'pipelin'")

    monkeypatch.setattr("pipeline.cli.app", fail)
    with pytest.raises(ImportError, match="pipelin"):
        main(["track"])


def test_without_the_libraries_of_a_desktop(tmp_path: Path) -> None:
    """In a mount namespace where libGL is an empty file: help and version work, the rest says what to install."""
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    files = re.findall(r"libGL\.so\.1 .*=> (\S+)", listed)
    program = (
        "import ctypes, sys\n"
        "try:\n    ctypes.CDLL('libGL.so.1')\nexcept OSError:\n    pass\nelse:\n    sys.exit(99)\n"
        "from pipeline.cli import main\nmain(sys.argv[1:])\n"
    )
    hide = " && ".join(f"mount --bind /dev/null {file}" for file in files) or "true"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = shlex.join([sys.executable, "-c", program, *arguments])
        inside = ["unshare", "--mount", "--map-root-user", "sh", "-c", f"{hide} && {command}"]
        return subprocess.run(inside, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)

    version = run("--version")
    if version.returncode == 99 or "unshare" in version.stderr or "mount" in version.stderr:
        pytest.skip(
            f"this machine cannot hide a library from a process: {version.stderr.strip() or 'it stays visible'}"
        )
    assert (version.returncode, version.stdout[:5]) == (0, "mtmc "), version.stderr
    assert "homography" in run("--help").stdout
    tracked = run("track", f"a={tmp_path / 'a.mp4'}", "-o", str(tmp_path / "out"))
    assert tracked.returncode == 1
    assert "libGL.so.1" in tracked.stderr
    assert tracked.stderr.count("\n") == 1


def test_the_output_folder_is_checked_before_a_model_is_loaded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights are missing, too, but that would take long to find out if they were not."""
    (folder / "out").mkdir()
    (folder / "out" / "trajectories.csv").touch()
    models = ["--set", "detector.weights=none.pt", "--set", "embedder.weights=none.safetensors"]
    assert exit_code("track", "a=a.mp4", *models, "-o", "out") == 2
    assert "out/trajectories.csv already exists. Use --overwrite" in capsys.readouterr().err
    assert exit_code("track", "a=a.mp4", *models, "-o", "a.mp4/results") == 2
    assert "a.mp4 is not a folder" in capsys.readouterr().err
    assert exit_code("track", "a=a.mp4", *models, "-o", "fresh") == 2
    assert "none.pt" in capsys.readouterr().err
    assert not (folder / "fresh").exists()


def test_progress_says_what_is_counted_also_while_the_video_is_drawn(folder: Path) -> None:
    """On a terminal; the width of the screen is that of the recorder."""
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=120)
    config = load_config(
        None, {"cameras": named_sources(["a=a.mp4"]), "embedder": {"weights": None}, "output": {"video": True}}
    )
    track_with_progress(config, folder / "out", {"a": folder / "a.txt"}, False, console)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.getvalue())
    assert "tracking 1 camera " in text
    assert "24/24 frames" in text
    assert re.search(r"drawing .* 2/2 +seconds", text)
    assert "left" in text
