"""docs/explain.md: its commands and its example run, and it describes every reason and key."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.core.decisions import Obstacle, Outcome, Reason, Stage
from pipeline.core.paths import PROJECT_ROOT
from tests.helpers.simulated_run import SimulatedRun

TEXT = (PROJECT_ROOT / "docs" / "explain.md").read_text(encoding="utf-8")


def test_commands_and_the_example_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    SimulatedRun(SimulatedWorld(cameras=2, people=8), 100).into(tmp_path / "results")
    for name in ("trajectories.csv", "decisions.jsonl"):
        path = tmp_path / "results" / name
        path.write_text(path.read_text().replace("cam1", "hall"))
    (block,) = re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(commands) == 2
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
    (example,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, list[dict[str, object]]] = {}
    exec(compile(example, "explain.md", "exec"), names)  # type: ignore[arg-type]
    described = set(re.findall(r"`(\w+)`", TEXT.split("## decisions.jsonl")[1]))
    keys = {key for one in names["decisions"] for key in one}
    keys |= {key for one in names["decisions"] for candidate in one["candidates"] for key in candidate}  # type: ignore[attr-defined]
    assert keys <= described


def test_every_reason_obstacle_outcome_and_stage_is_described() -> None:
    first_cells = set(re.findall(r"^\| `([^`]+)` \|", TEXT, flags=re.MULTILINE))
    assert {*map(str, Reason), *map(str, Obstacle)} <= first_cells
    for word in (*Outcome, *Stage):
        assert json.dumps(word) in TEXT
