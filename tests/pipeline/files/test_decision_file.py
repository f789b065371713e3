from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage
from pipeline.core.errors import InputError, RunError
from pipeline.files.decision_file import (
    DecisionWriter,
    decision_in,
    decision_line,
    read_decisions,
    rewrite_second_pass,
)

WAITING = Decision(Stage.ONLINE, 1.0, "hall", 3, Outcome.WAITING, Reason.FEW_CROPS, None, 1, None, 0.25)
LINKED = Decision(
    stage=Stage.SECOND_PASS,
    time_s=7.5,
    camera_id="hall",
    track_id=3,
    outcome=Outcome.LINKED,
    reason=Reason.JOINED,
    global_id=2,
    good_crops=4,
    limit=0.35,
    mean_weight=0.5,
    candidates=(
        Candidate(2, 0.12, None, 0.34),
        Candidate(5, None, 7.5, None, Obstacle.APART),
    ),
    joined=(("gate", 1),),
)


def write(path: Path, *decisions: Decision) -> Path:
    with DecisionWriter(path) as writer:
        for decision in decisions:
            writer.write(decision)
    return path


def test_decisions_come_back(tmp_path: Path) -> None:
    path = write(tmp_path / "decisions.jsonl", WAITING, LINKED)
    assert list(read_decisions(path)) == [WAITING, LINKED]


def test_a_line_is_json_with_rounded_numbers() -> None:
    line = decision_line(replace(LINKED, time_s=1.23456, candidates=(Candidate(2, 0.123456, 1.23456, 0.3),)))
    content = json.loads(line)
    assert (content["version"], content["kind"], content["stage"]) == (1, "decision", "second pass")
    assert content["time_s"] == 1.235
    assert content["candidates"] == [
        {"global_id": 2, "cosine_distance": 0.1235, "floor_distance_m": 1.2346, "cost": 0.3, "impossible": None}
    ]
    assert content["joined"] == [["gate", 1]]
    # What was read is written as it was.
    read = decision_in(f"{line}\n".encode())
    assert read is not None
    assert decision_line(read) == line


def test_damaged_lines_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "decisions.jsonl", WAITING, LINKED)
    with path.open("a") as file:
        file.write('{"kind": "row"}\n[]\n' + decision_line(WAITING)[:40])
    with caplog.at_level(logging.WARNING):
        assert list(read_decisions(path)) == [WAITING, LINKED]
    assert "3 lines cannot be read (the first is 3)" in caplog.text


@pytest.mark.parametrize("text", ["global_id,camera_id\n", "null\n", '{"kind":"decision","version":2}\n'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match="is not a file of decisions"):
        list(read_decisions(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_decisions(tmp_path / "missing"))


def test_the_second_pass_is_replaced(tmp_path: Path) -> None:
    path = write(tmp_path / "decisions.jsonl", WAITING, LINKED)
    newer = replace(LINKED, global_id=7)
    rewrite_second_pass(path, tmp_path / "other.jsonl", [newer])
    assert list(read_decisions(tmp_path / "other.jsonl")) == [WAITING, newer]
    rewrite_second_pass(path, path, [newer])
    assert list(read_decisions(path)) == [WAITING, newer]
    rewrite_second_pass(tmp_path / "missing", path, [newer])
    assert list(read_decisions(path)) == [newer]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        DecisionWriter(tmp_path / "missing" / "decisions.jsonl")
    with pytest.raises(RunError, match="it is unchanged"):
        rewrite_second_pass(tmp_path / "a", tmp_path / "missing" / "decisions.jsonl", [])
