"""docs/find.md: its commands parse, its example runs, and it describes the columns and words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import app, main
from pipeline.core.paths import PROJECT_ROOT
from pipeline.search.meaning import Meaning
from tests.helpers.doc_commands import parsed
from tests.helpers.simulated_run import SimulatedRun

TEXT = (PROJECT_ROOT / "docs" / "find.md").read_text(encoding="utf-8")


def test_its_commands_are_taken() -> None:
    commands = re.findall(r"^mtmc (find .*?)(?:\s+#.*)?$", TEXT, flags=re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        parsed(app, command)


def test_its_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    SimulatedRun(SimulatedWorld(cameras=2, people=8), 100).into(tmp_path / "results")
    (example,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    exec(compile(example, "find.md", "exec"), {})
    assert 1 <= len(capsys.readouterr().out.splitlines()) <= 5
    with pytest.raises(SystemExit) as stop:
        main(["find", "results", "--id", "3"])
    assert stop.value.code in (None, 0)
    (header,) = re.findall(r"^   (track .*)$", TEXT, flags=re.MULTILINE)
    printed = capsys.readouterr().out
    assert (
        header.split()
        == next(line for line in printed.splitlines() if "person" in line and "cost" in line).split()
    )


def test_columns_and_words_are_described() -> None:
    (header,) = re.findall(r"^   (track .*)$", TEXT, flags=re.MULTILINE)
    for name in header.split():
        assert f"| `{name}` |" in TEXT
    for word in Meaning:
        assert f"*{word}*" in TEXT
