"""docs/large_sites.md: its commands run, its settings are the defaults, and its figures those of the settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from pipeline.cli import main
from pipeline.core.paths import PROJECT_ROOT
from pipeline.cross_camera.identity_limit import online_limit, second_pass_limit
from tests.helpers.demo_clips import cut
from tests.helpers.factories import default_config

TEXT = (PROJECT_ROOT / "docs" / "large_sites.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def test_its_settings_are_the_defaults() -> None:
    linker = default_config().linker
    for name, value in yaml.safe_load(block("yaml"))["linker"].items():
        assert getattr(linker, name) == value


def test_its_numbers_of_people_are_those_of_the_default_memory() -> None:
    linker = default_config().linker
    assert f"{online_limit(linker, 50, 384) // 1000},000 people" in TEXT
    assert f"for {online_limit(linker, 1000, 384) // 1000},000" in TEXT
    assert f"{second_pass_limit(linker, 250, 384) // 10_000}0,000 fit" in TEXT


def test_its_commands_make_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fp32_openvino: None, one_thread: None
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, camera in (("entrance", "cam1"), ("hall", "cam2")):
        cut(camera, 8, tmp_path / f"{name}.mp4", 100)
    for command in block("bash").splitlines():
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command)[1:])
        assert stop.value.code in (None, 0), command
    header, *rows = Path("site/trajectories.csv").read_text().splitlines()
    single = [Path(name, "trajectories.csv").read_text().splitlines() for name in ("entrance", "hall")]
    assert len(rows) == sum(len(lines) - 1 for lines in single) > 10
    assert {line.split(",")[1] for line in rows} == {"entrance", "hall"}
    assert header == single[0][0]
