"""`mtmc link` on the results of a run that was killed, or whose tracklets are damaged."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipeline.files.tracklet_file import TrackletWriter, read_info, read_tracklets
from tests.helpers.media import grey_picture, write_video
from tests.pipeline.commands.test_cli import blind_track, exit_code, rows_of, write_boxes


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of two cameras with one track each; the run was killed before its tracks had ended."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", [grey_picture(i % 8, (160, 120)) for i in range(24)])
        write_boxes(tmp_path / f"{name}.txt", frames=24)
    assert blind_track("-o", "out") == 0
    path = tmp_path / "out" / "tracklets.arrow"
    info = read_info(path)
    with TrackletWriter(path, info):
        pass
    note = json.loads((tmp_path / "out/run.json").read_text())
    note |= {"state": "running", "rows": 0}
    note["cameras"]["a"]["tracks"] = 0
    (tmp_path / "out/run.json").write_text(json.dumps(note))
    return tmp_path / "out"


def test_missing_tracks_are_linked_and_it_is_said(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows_of(killed / "trajectories.csv")
    assert exit_code("link", "out", "--overwrite") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "2 of 2 tracks are not in out/tracklets.arrow" in said
    assert "without embeddings, by floor positions and online ids" in said
    rows = rows_of(killed / "trajectories.csv")
    assert len(rows) == len(before) == 48
    assert {row["link_state"] for row in rows} == {"final"}
    assert {row["global_id"] for row in rows} == {"1", "2"}
    note = json.loads((killed / "run.json").read_text())
    assert (note["state"], note["rows"], note["global_ids"]) == ("killed", 48, 2)
    assert note["cameras"]["a"]["tracks"] == 1
    assert exit_code("link", "out", "-o", "again") == 0
    assert rows_of(killed.parent / "again/trajectories.csv") == rows


def test_the_number_of_tracks_is_printed(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("link", "out", "-o", "again") == 0
    assert "2 tracks of 2 cameras are 2 people; 48 rows" in " ".join(capsys.readouterr().out.split())


def test_people_are_counted_as_the_rows_have_them(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = killed / "trajectories.csv"
    table = list(csv.DictReader(path.read_text().splitlines()))
    for row in table:
        row["global_id"] = "1"  # online, both tracks were one person
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    assert exit_code("link", "out", "-o", "again") == 0
    assert {row["global_id"] for row in rows_of(killed.parent / "again/trajectories.csv")} == {"1"}
    assert "2 tracks of 2 cameras are 1 person;" in " ".join(capsys.readouterr().out.split())
    assert json.loads((killed.parent / "again/run.json").read_text())["global_ids"] == 1


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_damaged_tracklets_are_an_error_or_are_rebuilt(
    killed: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blind_track("-o", "out", "--overwrite") == 0
    path = killed / "tracklets.arrow"
    whole = path.read_bytes()
    assert len(list(read_tracklets(path))) == 2
    at = int(len(whole) * share)
    path.write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
    capsys.readouterr()
    code = exit_code("link", "out", "-o", "again")
    said = " ".join(capsys.readouterr().err.split())
    if code == 2:
        assert "tracklets.arrow" in said
        assert "damaged" in said or "is not a file of saved tracklets" in said
        return
    assert code == 0
    assert {row["link_state"] for row in rows_of(killed.parent / "again/trajectories.csv")} == {"final"}
    assert ("left out" in said or "cut off" in said) == ("tracks are not in" in said)
