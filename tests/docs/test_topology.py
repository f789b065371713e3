"""docs/topology.md: its commands run, its windows are settings, and its tables have the columns of the command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli import main
from pipeline.config.config import load_config
from pipeline.core.paths import PROJECT_ROOT
from tests.helpers.stored_runs import recorded_run, row

TEXT = (PROJECT_ROOT / "docs" / "topology.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def test_commands_run_and_print_these_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded_run(tmp_path / "results", [row(1, "cam1", 1, 0), row(1, "cam2", 1, 9)])
    for line in block("bash").splitlines():
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line)[1:])
        assert stop.value.code in (None, 0), line
    printed = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    described = [" ".join(line.split()) for line in block("text").splitlines()]
    titles = [line for line in described if line and not line.startswith("cam")]
    assert len(titles) == 4
    assert set(titles) <= printed
    assert (tmp_path / "windows.yaml").is_file()


def test_its_windows_are_settings() -> None:
    cameras: dict[str, Any] = {"cameras": [{"name": name, "source": "a.mp4"} for name in ("cam1", "cam2", "cam3")]}
    for text in (block("yaml"), block("yaml").replace("# few: ", "")):
        assert load_config(None, yaml.safe_load(text) | cameras).linker.transit_windows
