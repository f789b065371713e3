"""decisions.jsonl of a recording names people as candidates, too; online ids are other people's than final ones."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.core.datatypes import Link, LinkedRow
from pipeline.core.decisions import Candidate, Decision, Outcome, Reason, Stage, TrackKey
from pipeline.files.decision_file import DecisionWriter, decision_line, read_decisions
from pipeline.files.results_csv import TrajectoryWriter
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_before, purge_person
from pipeline.privacy.run_folder import RunFolder
from tests.helpers.live.examples import make_row

EPOCH = datetime(2026, 5, 1, 10, tzinfo=UTC)


def decision(
    stage: Stage, key: TrackKey, global_id: int, candidates: Sequence[int], joined: Sequence[TrackKey] = ()
) -> Decision:
    return Decision(
        stage=stage,
        time_s=1.0,
        camera_id=key[0],
        track_id=key[1],
        outcome=Outcome.LINKED,
        reason=Reason.NEAREST,
        global_id=global_id,
        good_crops=3,
        limit=0.3,
        mean_weight=0.0,
        candidates=tuple(Candidate(one, 0.2, None, 0.6) for one in candidates),
        joined=tuple(joined),
    )


ONLINE = [
    # Person 1 has the online id 2; person 2 the online id 1.
    decision(Stage.ONLINE, ("entrance", 1), 2, [2, 1]),
    decision(Stage.ONLINE, ("hall", 1), 2, [2]),
    decision(Stage.ONLINE, ("hall", 2), 1, [1, 2]),
]
FINAL = [
    decision(Stage.SECOND_PASS, ("entrance", 1), 1, [1, 2], [("hall", 1)]),
    decision(Stage.SECOND_PASS, ("hall", 1), 1, [1], [("entrance", 1)]),
    decision(Stage.SECOND_PASS, ("hall", 2), 2, [2, 1]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Person 1 in both cameras, two hours later person 2 in the hall."""
    folder = tmp_path / "run"
    with TrajectoryWriter(folder, ["entrance", "hall"], EPOCH) as writer:
        for linked in (
            make_row(1, "entrance", 1, 0.0),
            make_row(1, "hall", 1, 1.0),
            make_row(2, "hall", 2, 7200.0),
        ):
            writer.write(LinkedRow(linked.row, Link(linked.link.global_id, 0.9, True)))
    with DecisionWriter(folder / "decisions.jsonl") as decisions:
        for one in (*ONLINE, *FINAL):
            decisions.write(one)
    return folder


def left(folder: Path) -> list[tuple[Stage, TrackKey, list[int]]]:
    return [
        (one.stage, one.key, [candidate.global_id for candidate in one.candidates])
        for one in read_decisions(folder / "decisions.jsonl")
    ]


def test_a_purged_person_is_neither_a_track_nor_a_candidate(folder: Path) -> None:
    purged = purge_person(RunFolder(folder), 1, delete_shared=False)
    assert (purged.rows, purged.messages, purged.damaged) == (2, 4, 0)
    assert left(folder) == [(Stage.ONLINE, ("hall", 2), [1]), (Stage.SECOND_PASS, ("hall", 2), [2])]
    assert stat.S_IMODE((folder / "decisions.jsonl").stat().st_mode) == 0o600


def test_lines_that_name_nobody_who_is_purged_stay_byte_for_byte(folder: Path) -> None:
    purge_person(RunFolder(folder), 2, delete_shared=False)
    text = (folder / "decisions.jsonl").read_text().splitlines()
    assert text[1] == decision_line(ONLINE[1])
    assert text[3] == decision_line(FINAL[1])
    assert [ids for _, _, ids in left(folder)] == [[2], [2], [1], [1]]


def test_damaged_lines_go_and_are_counted(folder: Path) -> None:
    with (folder / "decisions.jsonl").open("a") as file:
        file.write('{"kind": "decision", "track_id"\n{"kind": "dec')
    purged = purge_person(RunFolder(folder), 1, delete_shared=False)
    assert (purged.messages, purged.damaged) == (4, 2)
    assert len((folder / "decisions.jsonl").read_text().splitlines()) == 2


def test_a_file_of_something_else_is_left_and_named(folder: Path) -> None:
    (folder / "decisions.jsonl").write_text("notes of mine\n")
    purged = purge_person(RunFolder(folder), 1, delete_shared=False)
    assert purged.left == ("decisions.jsonl",)
    assert (folder / "decisions.jsonl").read_text() == "notes of mine\n"


def test_before_a_date_tracks_without_rows_go(folder: Path) -> None:
    purged = purge_before(RunFolder(folder), datetime(2026, 5, 1, 11, tzinfo=UTC), delete_shared=False)
    assert purged.messages == 4
    assert left(folder) == [(Stage.ONLINE, ("hall", 2), [1]), (Stage.SECOND_PASS, ("hall", 2), [2])]


def test_tracks_that_went_are_no_longer_named_as_joined(folder: Path) -> None:
    with TrajectoryWriter(folder, ["entrance", "hall"], EPOCH) as writer:
        for linked in (make_row(1, "entrance", 1, 0.0), make_row(1, "hall", 1, 7200.0)):
            writer.write(linked)
    purge_before(RunFolder(folder), datetime(2026, 5, 1, 11, tzinfo=UTC), delete_shared=False)
    (online, final) = read_decisions(folder / "decisions.jsonl")
    assert (online.key, final.key, final.joined) == (("hall", 1), ("hall", 1), ())


def test_a_person_gets_the_decisions_without_other_people(folder: Path, tmp_path: Path) -> None:
    export_person(RunFolder(folder), 1, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "person-1.json").read_text())
    found = [
        (one["stage"], one["camera_id"], [candidate["global_id"] for candidate in one["candidates"]])
        for one in content["decisions"]
    ]
    assert found == [
        ("online", "entrance", [2]),
        ("online", "hall", [2]),
        ("second pass", "entrance", [1]),
        ("second pass", "hall", [1]),
    ]


def test_without_the_file_nothing_is_said(folder: Path, tmp_path: Path) -> None:
    (folder / "decisions.jsonl").unlink()
    assert export_person(RunFolder(folder), 1, tmp_path / "out")["decisions"] == []
    assert purge_person(RunFolder(folder), 1, delete_shared=False).messages == 0
