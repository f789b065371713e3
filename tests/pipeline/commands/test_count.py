"""`mtmc count` on a simulated run, and events.csv of `track` and `link`."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.files.run_folder import clear_results
from tests.helpers.simulated_run import SimulatedRun

# A person enters every 11/6 s and is in the middle of cam1 4 s later: nine people within 20 s, who walk to the right
# and to the left in turn.
WORLD = SimulatedWorld(cameras=2, people=12)
FRAMES = 200
# Downwards through the middle: to its right, seen along it, is the left half of the picture.
MIDDLE = {"name": "middle", "points_px": {"cam1": [[320, 0], [320, 480]]}}
RIGHT = {"name": "right half", "polygons_px": {"cam1": [[320, 0], [640, 0], [640, 480], [320, 480]]}}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "results"
    summary = SimulatedRun(WORLD, FRAMES, settings={"lines": [MIDDLE], "zones": [RIGHT]}).into(folder)
    assert summary.counted is not None
    assert len(summary.counted.events) == len(read(folder / "events.csv"))
    return folder


@pytest.fixture
def folder(tracked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tracked, tmp_path / "results"))


def counted(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["count", *map(str, arguments)])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), " ".join((printed.out + printed.err).split())


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def config_file(folder: Path, content: Mapping[str, Any]) -> Path:
    path = folder / "zones.yaml"
    path.write_text(yaml.safe_dump(dict(content)))
    return path


def test_track_counts_everybody_once(tracked: Path) -> None:
    events = read(tracked / "events.csv")
    crossings = [one for one in events if one["line"] == "middle"]
    assert Counter(one["direction"] for one in crossings) == {"out": 5, "in": 4}
    assert len({one["global_id"] for one in crossings}) == 9
    times = sorted(float(one["time_s"]) for one in crossings)
    assert times == pytest.approx([4 + number * 11 / 6 for number in range(9)], abs=0.05)
    assert {one["cameras"] for one in crossings} == {"cam1"}
    # Who walks to the right enters the right half in the middle; who walks to the left appears there.
    entered = Counter((one["event"], one["how"]) for one in events if one["zone"] == "right half")
    assert entered["enter", "crossed"] == 5
    assert entered["leave", "crossed"] == 4


def test_count_gives_the_same_bytes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "events.csv").read_bytes()
    (folder / "events.csv").unlink()
    code, said = counted(capsys, folder, "--json", folder / "totals.json")
    assert code == 0
    assert (folder / "events.csv").read_bytes() == before
    assert f"events are in {folder / 'events.csv'}" in said
    totals = json.loads((folder / "totals.json").read_text())
    assert totals["lines"]["middle"] == {"in_people": 4, "in_crossings": 4, "out_people": 5, "out_crossings": 5}
    assert (
        totals["zones"]["right half"]["entered"] - totals["zones"]["right half"]["left"]
        == (totals["zones"]["right half"]["present"])
    )
    assert not (folder / "run.lock").exists()


def test_other_lines_into_another_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = {"name": "both", "points_px": {name: [[320, 0], [320, 480]] for name in WORLD.camera_ids}}
    path = config_file(tmp_path, {"lines": [both]})
    code, _ = counted(capsys, folder, "--config", path, "--output", tmp_path / "new" / "e.csv")
    assert code == 0
    assert {one["line"] for one in read(tmp_path / "new" / "e.csv")} == {"both"}
    assert {one["line"] for one in read(folder / "events.csv")} == {"middle", ""}
    code, _ = counted(capsys, folder, "--set", "counting.min_seen_s=100", "-o", tmp_path / "none.csv")
    assert code == 0
    assert read(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"lines": [{"name": "a", "points_px": {"cam9": [[0, 0], [9, 9]]}}]},
            "line 'a' is in camera 'cam9', but the cameras are cam1, cam2",
        ),
        ({"zones": [{"name": "a", "polygon_m": [[0, 0], [9, 0], [9, 9]]}]}, "no camera has a homography"),
        (
            {"zones": [{"name": "a", "polygons_px": {"cam1": [[700, 0], [900, 0], [900, 90]]}}]},
            "outside the picture of camera cam1, which is 640x480",
        ),
        ({}, "nothing to count"),
    ],
)
def test_what_does_not_fit_the_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, message: str
) -> None:
    before = (folder / "events.csv").read_bytes()
    code, said = counted(capsys, folder, "--config", config_file(tmp_path, content))
    assert (code, message in said) == (2, True), said
    assert (folder / "events.csv").read_bytes() == before


def change(folder: Path, **changes: Any) -> None:
    note = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**note, **changes}))


def half_written(folder: Path) -> None:
    change(folder, state="running")


def another_version(folder: Path) -> None:
    change(folder, cameras=["cam1"])


def without_note(folder: Path) -> None:
    (folder / "run.json").unlink()


def without_rows(folder: Path) -> None:
    (folder / "trajectories.csv").unlink()


def unordered(folder: Path) -> None:
    head, *rows = (folder / "trajectories.csv").read_text().splitlines()
    (folder / "trajectories.csv").write_text("\n".join([head, *reversed(rows)]) + "\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (half_written, "is half-written"),
        (another_version, "damaged or of another version of this program (ValueError)"),
        (without_note, "is missing, damaged or of another version of this program (FileNotFoundError)"),
        (without_rows, "holds no results of `mtmc track` or `mtmc live`"),
        (unordered, "Sort the rows by time_s"),
    ],
)
def test_a_run_that_cannot_be_counted(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: Any, message: str
) -> None:
    damage(folder)
    code, said = counted(capsys, folder)
    assert (code, message in said) == (2, True), said


def test_link_counts_again_or_deletes_old_events(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read(folder / "events.csv")
    with pytest.raises(SystemExit) as stop:
        main(["link", str(folder), "--overwrite"])
    assert stop.value.code in (None, 0)
    assert "events are in" in capsys.readouterr().out
    after = read(folder / "events.csv")
    assert [one["time_s"] for one in after if one["line"]] == [one["time_s"] for one in before if one["line"]]
    with pytest.raises(SystemExit) as stop:
        main(["link", str(folder), "--overwrite", "--set", "lines=[]", "--set", "zones=[]"])
    assert stop.value.code in (None, 0)
    assert "was deleted, because its ids were old ones" in " ".join(capsys.readouterr().err.split())
    assert not (folder / "events.csv").exists()


def test_heat_maps_without_their_recordings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = counted(capsys, folder, "--heat-map", folder / "heat")
    assert code == 0
    assert "the heat map of camera cam1 has no picture behind it" in said
    assert sorted(path.name for path in (folder / "heat").iterdir()) == ["heat_map-cam1.png", "heat_map-cam2.png"]


def test_overwrite_deletes_what_count_wrote(folder: Path) -> None:
    (folder / "heat").mkdir()
    for name in ("heat_map-cam1.png", "floor_heat_map.png", "mine.png"):
        (folder / "heat" / name).write_bytes(b"")
    clear_results(folder, True)
    assert not (folder / "events.csv").exists()
    assert [path.name for path in (folder / "heat").iterdir()] == ["mine.png"]
