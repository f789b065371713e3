"""docs/view.md: its commands run, and its numbers are those of the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.commands import view
from pipeline.core.paths import PROJECT_ROOT
from pipeline.live.web.connections import REQUEST_S
from pipeline.view import lanes
from tests.helpers.stored_runs import recorded_run, row

TEXT = (PROJECT_ROOT / "docs" / "view.md").read_text(encoding="utf-8")


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(view, "_wait", lambda: None)
    monkeypatch.setattr(view, "has_desktop", lambda: False)
    recorded_run(tmp_path / "results", [row(1, "hall", 1, 0)])
    (tmp_path / "hall.mp4").touch()
    (block,) = re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
        assert "/login?token=" in capsys.readouterr().out


def test_numbers_are_those_of_the_program() -> None:
    words = " ".join(TEXT.split())
    script = (PROJECT_ROOT / "pipeline" / "view" / "static" / "lanes.js").read_text(encoding="utf-8")
    assert "const PAGE = 50;" in script
    assert "the next 50 people" in words
    assert f"1/{1 / lanes.MERGED_SHARE:.0f} of the part" in words
    assert f"more than {REQUEST_S:.0f} s are given up" in words
