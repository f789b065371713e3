"""Which runs are in a folder, and what the list says about them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.view.found_runs import find_runs
from tests.helpers.stored_runs import RUN_ID, live_run, recorded_run, row

ROWS = [row(1, "hall", 1, frame) for frame in range(3)]


def test_a_run_is_found_in_its_folder(tmp_path: Path) -> None:
    note = {"started_utc": "2026-05-01T10:00:00+00:00", "global_ids": 5, "fragments": 2}
    (found,) = find_runs(recorded_run(tmp_path / "monday", ROWS, **note))
    assert found.as_json() == {
        "name": "monday",
        "kind": "recordings",
        "started_utc": "2026-05-01T10:00:00+00:00",
        "cameras": ["hall"],
        "people": 3,
        "state": "complete",
    }


def test_runs_below_a_folder_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorded_run(tmp_path / "b", ROWS)
    live_run(tmp_path / "a", ROWS)
    live_run(tmp_path / "a", ROWS, run_id="20260502T100000Z-aaaa")
    recorded_run(live_run(tmp_path / "both", ROWS), ROWS)
    (tmp_path / "other").mkdir()
    with caplog.at_level(logging.WARNING):
        names = [found.name for found in find_runs(tmp_path)]
    assert names == [f"a {RUN_ID}", "a 20260502T100000Z-aaaa", "b"]
    assert "left out" in caplog.text
    assert "both" in caplog.text


def test_a_damaged_note_leaves_the_list_usable(tmp_path: Path) -> None:
    folder = recorded_run(tmp_path / "run", ROWS)
    (folder / "run.json").write_text('{"started_utc": 5, "state": [], "global_ids": "x"')
    (found,) = find_runs(folder)
    assert found.as_json()["state"] is None
    (folder / "run.json").write_text('{"started_utc": "soon", "state": [], "global_ids": "x"}')
    (found,) = find_runs(folder)
    assert [found.as_json()[name] for name in ("state", "started_utc", "people")] == [None, None, None]


@pytest.mark.parametrize("name", ["", "missing"])
def test_no_run_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="mtmc track"):
        find_runs(tmp_path / name if name else tmp_path)
