"""`mtmc explain` on a simulated run: what it prints about tracks and persons, and what it says about wrong requests."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.core.decisions import Outcome, Stage
from pipeline.files.decision_file import read_decisions
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Delete, Rename, Split
from tests.helpers.simulated_run import SimulatedRun, csv_rows

WORLD = dataclasses.replace(SimulatedWorld(cameras=2, people=12), embedding_noise=0.9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "results"
    SimulatedRun(WORLD, 200).into(folder)
    return folder


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["explain", *arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), " ".join((printed.out + printed.err).split())


def test_a_track_is_explained_online_and_in_the_second_pass(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = next(
        one
        for one in read_decisions(folder / "decisions.jsonl")
        if one.stage is Stage.ONLINE and one.outcome is Outcome.LINKED
    )
    code, said = explained(capsys, str(folder), "--track", f"{linked.camera_id}:{linked.track_id}")
    assert code == 0
    assert said.startswith(f"Track {linked.track_id} of camera {linked.camera_id}, ")
    assert "it waits, because it has too few good crops." in said
    assert f"{linked.time_s:.2f} s: linked to online id {linked.global_id}, because" in said
    assert f"{linked.good_crops} good crop" in said
    assert f"cosine distance of {linked.limit:.3f}" in said
    assert "online id person distance floor m cost" in said
    assert said.count("chosen") == 1
    assert re.search(r"Second pass [\d.]+ s: person \d+, with ", said)


def test_all_tracks_of_a_person_are_explained_in_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for row in csv_rows(folder) if row["global_id"] == "1"]
    tracks = list(dict.fromkeys((row["camera_id"], row["track_id"]) for row in rows))
    code, said = explained(capsys, str(folder), "--id", "1")
    assert code == 0
    assert [(camera, number) for number, camera in re.findall(r"Track (\d+) of camera (\w+),", said)] == tracks


def test_every_track_can_be_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = sorted({(row["camera_id"], row["track_id"]) for row in csv_rows(folder)})
    options = [text for camera, number in keys for text in ("--track", f"{camera}:{number}")]
    code, said = explained(capsys, str(folder), *options)
    assert code == 0
    assert said.count("Second pass") == said.count("Online") == len(keys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --track CAMERA:TRACK or --id N"),
        (["--track", "cam1"], "expected CAMERA:TRACK, such as cam1:1"),
        (["--track", "cam1:x"], "expected CAMERA:TRACK, such as cam1:1"),
        (["--track", "hall:1"], "has no track of a camera 'hall'; its cameras are cam1, cam2"),
        (["--track", "cam1:99"], "camera 'cam1' has no track 99; its tracks are 1, 2, 3"),
        (["--id", "99"], "this id; the ids are 1, 2, 3"),
    ],
)
def test_wrong_requests_name_what_there_is(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, said = explained(capsys, str(folder), *arguments)
    assert code == 2
    assert message in said


def test_folders_that_cannot_be_explained(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = explained(capsys, str(tmp_path / "none"), "--id", "1")
    assert (code, "holds no results of `mtmc track`" in said) == (2, True)
    (tmp_path / "manifest-1.json").write_text("{}")
    code, said = explained(capsys, str(tmp_path), "--id", "1")
    assert (code, "live runs record no decisions" in said) == (2, True)
    shutil.copy(folder / "trajectories.csv", tmp_path)
    code, said = explained(capsys, str(tmp_path), "--id", "1")
    assert (code, "has no decisions.jsonl: track the recordings again" in said) == (2, True)


def test_a_track_without_a_decision_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kill can lose the last lines."""
    shutil.copy(folder / "trajectories.csv", tmp_path)
    lines = (folder / "decisions.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "decisions.jsonl").write_text("".join(line for line in lines if '"track_id":1,' not in line))
    code, said = explained(capsys, str(tmp_path), "--track", "cam1:1")
    assert code == 0
    assert "No decision is recorded" in said


def test_steps_of_a_review_are_told_with_their_dates(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed = Path(shutil.copytree(folder, tmp_path / "run"))
    rows = [row for row in csv_rows(reviewed) if row["camera_id"] == "cam1"]
    first, second, third = sorted({int(row["track_id"]) for row in rows})[:3]
    frames = [int(row["frame_index"]) for row in rows if int(row["track_id"]) == first]
    steps = [
        Split("cam1", first, 50, frames[len(frames) // 2], 900),
        Rename(50, "Ana"),
        Delete("cam1", second),
    ]
    (reviewed / "run.json").write_text('{"state": "complete"}')
    with ReviewedRun(reviewed) as run:
        for step in steps:
            run.do(lambda _, step=step: step)  # type: ignore[misc]
    code, said = explained(capsys, str(reviewed), "--track", "cam1:900")
    assert code == 0
    assert re.match(r"Track 900 of camera cam1, [\d.]+ to [\d.]+ s, \d+ boxes: person 50, Ana \(final", said)
    assert f"It was a part of track {first}, about which was decided: Online" in said
    when = r"step 1, 20\d\d-\d\d-\d\d \d\d:\d\d UTC: "
    assert re.search(f"Review {when}split cam1:{first} from frame \\d+ off as 50; then person 50$", said)
    code, said = explained(capsys, str(reviewed), "--track", f"cam1:{second}")
    assert code == 0
    gone = "not in trajectories.csv, because a review deleted it Online"
    assert said.startswith(f"Track {second} of camera cam1: {gone}")
    assert re.search(r"Review step 3, [\d: -]+ UTC: deleted cam1:\d+; then deleted$", said)
    code, said = explained(capsys, str(reviewed), "--track", f"cam1:{third}")
    assert "Review" not in said


def test_permanent_corrections_are_said_to_be_unknown(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed = Path(shutil.copytree(folder, tmp_path / "run"))
    (reviewed / "review.ndjson").write_text('{"format": "mtmc review", "version": 1, "permanent_steps": 3}\n')
    code, said = explained(capsys, str(reviewed), "--track", "cam1:1")
    assert said.endswith("Review: 3 corrections from before a purge: it is not known any more what they changed")
    (reviewed / "review.ndjson").write_text("damage\n")
    code, said = explained(capsys, str(reviewed), "--track", "cam1:1")
    assert code == 0
    assert "line 1: it cannot be read" in said
    assert said.endswith("it is not known what a review changed")
