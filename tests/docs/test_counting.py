"""docs/counting.md: its commands and examples run, and it describes every column, event and setting."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.config.config import load_config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.counting.events import Direction, How, Kind
from pipeline.counting.events_file import COLUMNS
from tests.helpers.simulated_run import SimulatedRun

TEXT = (PROJECT_ROOT / "docs" / "counting.md").read_text(encoding="utf-8")
HOMOGRAPHY = [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def test_commands_and_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    world = SimulatedWorld(cameras=2, people=8)
    (zones,) = blocks("yaml")
    for camera, name in (("entrance", "cam1"), ("hall", "cam2")):
        zones = zones.replace(f"      {camera}: [[", f"      {name}: [[")
    (tmp_path / "zones.yaml").write_text(zones)
    cameras = {name: {"homography": HOMOGRAPHY} for name in world.camera_ids}
    for folder in ("results", "site"):
        SimulatedRun(world, 100, cameras=cameras, settings=yaml.safe_load(zones)).into(tmp_path / folder)
    commands = [shlex.split(line, comments=True) for block in blocks("bash") for line in block.splitlines()]
    assert len(commands) == 3
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
    capsys.readouterr()
    (example,) = blocks("python")
    exec(compile(example, "counting.md", "exec"), {})
    stays = int(capsys.readouterr().out.split()[0])
    assert stays > 0
    assert (tmp_path / "results" / "heat" / "floor_heat_map.png").is_file()


def test_every_column_and_word_is_described() -> None:
    first_cells = " ".join(re.findall(r"^\| ([^|]+) \|", TEXT, flags=re.MULTILINE))
    assert set(COLUMNS) <= set(re.findall(r"`(\w+)`", first_cells))
    for word in [*Kind, *filter(None, How), *filter(None, Direction)]:
        assert f"`{word}`" in TEXT, word
    for setting in load_config().counting.model_dump():
        assert re.search(rf"`(counting\.)?{setting}\b", TEXT), setting
