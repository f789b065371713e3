"""docs/convert.md: its commands and its example run, and it names every format and the files of each."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.conversion.convert import Format
from pipeline.core.paths import PROJECT_ROOT
from tests.helpers.stored_runs import recorded_run, row

TEXT = (PROJECT_ROOT / "docs" / "convert.md").read_text(encoding="utf-8")


def test_commands_and_the_example_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded_run(tmp_path / "results", [row(one, "hall", one, 0) for one in (1, 2)])
    (block,) = re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert [command[command.index("--to") + 1] for command in commands] == list(Format)
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    named = {name.replace("CAMERA", "hall") for name in re.findall(r"`([\w./]+\.\w+)`", TEXT)}
    written = {name.split("/", 1)[1] for name in files if name.startswith("for-")}
    assert written <= named
    capsys.readouterr()
    (example,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    exec(compile(example, "convert.md", "exec"), {})
    assert "[{'camera_id': 'hall', 'global_id_count_distinct': 2}]" in capsys.readouterr().out


def test_every_format_is_in_the_table() -> None:
    assert re.findall(r"^\| `(\w[\w-]*)` \|", TEXT.split("## ")[0], re.MULTILINE) == list(Format)
