"""docs/report.md: its commands run, and what it says about limits is true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.core.paths import PROJECT_ROOT
from pipeline.report import doubtful, page
from tests.helpers import looped_scene
from tests.pipeline.report.test_page import write_truth

TEXT = (PROJECT_ROOT / "docs" / "report.md").read_text(encoding="utf-8")


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    looped_scene.run_scene(tmp_path / "results", looped_scene.write_recordings(tmp_path))
    names = {"left": "entrance", "right": "hall"}
    truth = write_truth(tmp_path)
    for old, new in names.items():
        for file in ("trajectories.csv", "run.json"):
            path = tmp_path / "results" / file
            path.write_text(path.read_text().replace(old, new))
        (tmp_path / f"{old}.mp4").rename(tmp_path / f"{new}.mp4")
        truth[old].rename(tmp_path / f"{new}_gt.txt")
    (block,) = re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
    assert (tmp_path / "results" / "report.html").is_file()
    assert (tmp_path / "first.html").is_file()


def test_limits_are_those_of_the_program() -> None:
    words = " ".join(TEXT.split())
    assert f"below {doubtful.DOUBTFUL}" in words
    assert f"most {doubtful.MOST_SHOWN} are shown" in words
    assert f"more than {page.MOST_PEOPLE} people or {page.MOST_FRAGMENTS} fragments" in words
