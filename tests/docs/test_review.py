"""docs/review.md: its commands run, its steps are ones, and its keys are those of the page."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.commands import view
from pipeline.core.paths import PROJECT_ROOT
from pipeline.review.journal import VERSION
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Confirm, content_of, step_in
from tests.helpers.stored_runs import recorded_run, row

TEXT = (PROJECT_ROOT / "docs" / "review.md").read_text(encoding="utf-8")
PAGE = PROJECT_ROOT / "pipeline" / "view" / "static"


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(view, "_wait", lambda: None)
    monkeypatch.setattr(view, "has_desktop", lambda: False)
    rows = [row(1, camera, 1, frame) for frame in range(3) for camera in ("entrance", "hall")]
    for folder in ("results", "other-results"):
        recorded_run(tmp_path / folder, rows)
    (tmp_path / "hall.mp4").touch()
    with ReviewedRun(tmp_path / "results") as run:
        run.do(lambda _: Confirm(1))
    blocks = re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
    assert not (tmp_path / "results" / "review.ndjson").exists()


def test_steps_are_written_and_read_like_this() -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    lines = [json.loads(line) for line in block.splitlines()]
    assert [line["step"] for line in lines[-2:]] == ["undo", "redo"]
    assert [content_of(step_in(line)) for line in lines[:-2]] == lines[:-2]
    assert f'`{{"format": "mtmc review", "version": {VERSION}}}`' in TEXT


def test_keys_are_those_of_the_page() -> None:
    table = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", TEXT.split("| key | step |")[1].split("\n\n")[0], re.MULTILINE)
    told = {key for cell in table for key in re.split(r", | or ", cell) if "-" not in key}
    page = (PAGE / "review.html").read_text(encoding="utf-8")
    help_keys = set(re.findall(r"<kbd>([^<]+)</kbd>", page.split('id="help-dialog"')[1])) - {"Esc"}
    assert told == help_keys
    script = (PAGE / "review.js").read_text(encoding="utf-8")
    used = script.split("const keys = {")[1].split('addEventListener("keydown"')[0]
    names = {"↓": "ArrowDown", "↑": "ArrowUp"}
    for key in told - {"←", "→"}:
        assert re.search(rf'[\s{{"]{re.escape(names.get(key, key))}"?[:,]', used) or key == "x", key
