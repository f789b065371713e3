"""A stored run: its rows with their last ids, and what it has noted about its cameras."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.core.datatypes import Correction
from pipeline.core.errors import InputError
from pipeline.stored.run import StoredCamera, stored_run, stored_runs
from tests.helpers.stored_runs import RUN_ID, live_run, recorded_run, row

NOW_S = 1_777_630_000.0


def correction(provisional_id: int, global_id: int) -> Correction:
    return Correction(NOW_S, "hall", 1, provisional_id, global_id, 0.9)


def test_cameras_of_a_recording(tmp_path: Path) -> None:
    recorded_run(
        tmp_path,
        [row(1, "hall", 1, 0)],
        cameras={"hall": {"frames": 5, "index_step": 2}, "yard": {"late_frames": 1}},
        config={
            "recording": {"start_s": None, "end_s": None},
            "cameras": [{"name": "yard", "crop_xyxy_px": [0, 1, 2, 3]}],
        },
        epoch_utc="2026-05-01T10:00:00+00:00",
    )
    run = stored_run(tmp_path)
    assert run.camera("hall") == StoredCamera("clip.mp4", (640, 360), 10.0, 2, range(0, 10, 2), None)
    assert run.camera("yard").frame_indices is None
    assert run.camera("yard").crop_xyxy_px == (0, 1, 2, 3)
    assert run.camera("street") == StoredCamera()
    assert run.epoch_utc is not None
    assert run.epoch_utc.year == 2026
    assert run.ended


@pytest.mark.parametrize("start", [{"start_s": 3.0, "end_s": None}, {"start_s": None, "end_s": 9.0}])
def test_frames_of_a_part_of_a_recording_are_unknown(tmp_path: Path, start: dict[str, float | None]) -> None:
    recorded_run(tmp_path, [row(1, "hall", 1, 0)], config={"recording": start})
    assert stored_run(tmp_path).camera("hall").frame_indices is None


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        "{",
        '{"cameras": [], "config": 3, "epoch_utc": 5}',
        '{"cameras": {"hall": 7}, "config": {"cameras": [1]}}',
    ],
)
def test_a_damaged_note_costs_no_rows(tmp_path: Path, note: str) -> None:
    recorded_run(tmp_path, [row(1, "hall", 1, 0)])
    (tmp_path / "run.json").write_text(note)
    run = stored_run(tmp_path)
    assert [one.row.camera_id for one in run.rows()] == ["hall"]
    assert run.camera("hall").size_wh is None


def test_live_ids_are_corrected_through_chains(tmp_path: Path) -> None:
    rows = [row(number, "hall", number, 0, time_s=NOW_S, final=False) for number in (1, 2, 3, 4)]
    live_run(tmp_path, rows, [correction(3, 2), correction(2, 1), correction(4, 4)])
    links = [one.link for one in stored_run(tmp_path).rows()]
    assert [(link.global_id, link.final) for link in links] == [(1, False), (1, True), (1, True), (4, True)]
    assert stored_run(tmp_path).camera("hall").size_wh == (640, 360)


def test_damaged_live_lines_are_told(tmp_path: Path) -> None:
    live_run(tmp_path, [row(1, "hall", 1, 0, time_s=NOW_S)])
    path = tmp_path / f"traj-{RUN_ID}-0001.csv"
    path.write_text(path.read_text() + "1,hall,no number\n")
    damaged: list[str] = []
    assert len(list(stored_run(tmp_path).rows(damaged))) == 1
    assert damaged == [f"{path.name}: 1 damaged lines"]


def test_one_of_several_live_runs_is_chosen(tmp_path: Path) -> None:
    later = "20260502T100000Z-aaaa"
    live_run(tmp_path, [row(1, "hall", 1, 0, time_s=NOW_S)])
    live_run(tmp_path, [row(2, "hall", 1, 0, time_s=NOW_S)], run_id=later)
    assert [run.run_id for run in stored_runs(tmp_path)] == [RUN_ID, later]
    with pytest.raises(InputError, match=f"2 runs, .* choose one with --run, such as --run {later}"):
        stored_run(tmp_path)
    assert [one.link.global_id for one in stored_run(tmp_path, later).rows()] == [2]
    with pytest.raises(InputError, match=r"--run x: .* has no such run; its runs are 2026"):
        stored_run(tmp_path, "x")


def test_folders_without_one_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results of `mtmc track` or `mtmc live`"):
        stored_run(tmp_path)
    live_run(recorded_run(tmp_path, [row(1, "hall", 1, 0)]), [])
    with pytest.raises(InputError, match=r"a trajectories.csv and rows of live runs"):
        stored_run(tmp_path)


def test_a_run_of_recordings_has_no_run_id(tmp_path: Path) -> None:
    recorded_run(tmp_path, [row(1, "hall", 1, 0)])
    with pytest.raises(InputError, match="it holds a run of recordings, without an id"):
        stored_run(tmp_path, "x")


@pytest.mark.parametrize("name", ["../hall", "a/b", "..", "", "a b", "x" * 201])
def test_a_camera_cannot_lead_out_of_a_folder(tmp_path: Path, name: str) -> None:
    recorded_run(tmp_path, [row(1, "hall", 1, 0)])
    path = tmp_path / "trajectories.csv"
    path.write_text(path.read_text().replace("hall", name))
    with pytest.raises(InputError, match="files are named after cameras"):
        list(stored_run(tmp_path).rows())


def test_a_run_that_still_runs_is_told(tmp_path: Path) -> None:
    recorded_run(tmp_path, [row(1, "hall", 1, 0)], state="running")
    assert not stored_run(tmp_path).ended
    assert json.loads((tmp_path / "run.json").read_text())["state"] == "running"
