"""Reading a run for its report: what is missing or damaged is told in one line, and the rest is used."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.report.run_data import read_run


def change_note(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        note = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**note, **changes}))

    return change


def delete(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def cut(name: str, share: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return change


def test_a_whole_run_has_nothing_to_tell(run: Path) -> None:
    data = read_run(run)
    assert (data.state, data.gaps, data.rows, data.interpolated) == ("complete", [], 390, 0)
    assert (len(data.persons), len(data.fragments)) == (2, 3)
    assert (data.start_s, data.end_s) == (pytest.approx(1.0), pytest.approx(33.9))
    assert list(data.cameras) == ["left", "right"]
    assert {len(boxes) > 0 for boxes in data.boxes.values()} == {True}
    assert data.decisions is not None


@pytest.mark.parametrize(
    ("change", "told", "people", "fragments"),
    [
        pytest.param(change_note(state="running"), "was killed, or is still running", 2, 3, id="half-written"),
        pytest.param(
            change_note(state="interrupted"), "was interrupted: the ids are online ones", 2, 3, id="stopped"
        ),
        pytest.param(change_note(state="failed"), "was ended by an error", 2, 3, id="failed"),
        pytest.param(change_note(state="killed"), "`mtmc link` gave it final ids", 2, 3, id="killed and linked"),
        pytest.param(delete("run.json"), "run.json is missing: there are no pictures", 2, 3, id="no run.json"),
        pytest.param(overwrite("run.json", b"{"), "run.json is damaged", 2, 3, id="damaged run.json"),
        pytest.param(
            overwrite("run.json", b"[]"), "run.json is damaged (it holds no JSON object)", 2, 3, id="a list"
        ),
        pytest.param(delete("tracklets.arrow"), "tracklets.arrow is missing", 5, 0, id="no tracklets"),
        pytest.param(
            overwrite("tracklets.arrow", b"no arrow"),
            "is not a file of saved tracklets",
            5,
            0,
            id="damaged tracklets",
        ),
        pytest.param(delete("decisions.jsonl"), "decisions.jsonl is missing", 2, 3, id="no decisions"),
        pytest.param(
            overwrite("decisions.jsonl", b"x\n"), "is not a file of decisions", 2, 3, id="damaged decisions"
        ),
    ],
)
def test_each_fault_is_told_in_one_line(
    run: Path,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[Path], None],
    told: str,
    people: int,
    fragments: int,
) -> None:
    change(run)
    with caplog.at_level(logging.WARNING):
        data = read_run(run)
    (gap,) = data.gaps
    assert told in gap
    assert "\n" not in gap
    assert [record.getMessage() for record in caplog.records if record.name == "pipeline.report.run_data"] == [gap]
    assert (len(data.persons), len(data.fragments)) == (people, fragments)


def test_tracks_that_a_cut_file_lost_are_counted_and_are_no_fragments(run: Path) -> None:
    cut("tracklets.arrow", 0.7)(run)
    data = read_run(run)
    (gap,) = data.gaps
    assert "of 15 tracks are not in" in gap
    assert len(data.people) == 5
    assert len(data.fragments) < 3


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"state": 5, "cameras": [], "config": "none", "epoch_utc": 7},
        {"cameras": {"left": None, "right": {"size_wh": "wide", "frames": "many", "problem": 4}}, "config": {}},
        {"cameras": {"left": {"size_wh": [160]}}, "config": {"cameras": [{"name": 4}, "left", None]}},
    ],
    ids=["nothing", "other types", "other cameras", "other lists"],
)
def test_a_note_of_another_version_is_used_as_far_as_it_goes(run: Path, content: dict[str, object]) -> None:
    (run / "run.json").write_text(json.dumps(content))
    data = read_run(run)
    assert set(data.cameras) == {"left", "right"}
    assert len(data.persons) == 2
    assert data.boxes == {}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (delete("trajectories.csv"), "it holds no results of `mtmc track`"),
        (overwrite("trajectories.csv", b"a,b\n1,2\n"), "lacks the columns|has no column|column"),
    ],
    ids=["no rows", "another file"],
)
def test_without_rows_there_is_no_report(run: Path, change: Callable[[Path], None], error: str) -> None:
    change(run)
    with pytest.raises(InputError, match=error):
        read_run(run)


def test_a_live_run_has_a_page_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "manifest-1.json").write_text("{}")
    with pytest.raises(InputError, match="it is a live run, which `mtmc view` shows"):
        read_run(tmp_path)
