"""What docs/reid_evaluation.md says is executed, on a cut of the demo scene."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.network_input import INPUT_PRESETS
from pipeline.core.paths import PROJECT_ROOT
from reid.site.camera_rows import CameraRows
from tests.helpers.demo_clips import cut, cut_ground_truth

PAGE = (PROJECT_ROOT / "docs" / "reid_evaluation.md").read_text(encoding="utf-8")


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene = Path("demo/scene")
    scene.mkdir(parents=True)
    for camera in ("cam1", "cam2", "cam3"):  # 5.2 s: two crops of most people, five seconds apart
        cut(camera, 52, scene / f"{camera}.mp4", 100)
        cut_ground_truth(camera, 52, scene / f"{camera}_gt.txt", 100)
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    assert len(commands) == 4
    for command in commands:
        assert command[:2] == ["mtmc", "reid"]
        result = CliRunner().invoke(app, command[2:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    figures = json.loads(Path("figures.json").read_text())
    assert figures["people"] > 5
    assert {"all", "camera_pairs", "directions", "reranked", "peers"} <= figures.keys()
    for name in ("ranked_lists.png", "attention.png"):
        with Image.open(name) as fresh, Image.open(PROJECT_ROOT / "docs" / "images" / name) as shown:
            assert fresh.size == shown.size


def test_every_choice_is_explained() -> None:
    for choice in (*CameraRows, *INPUT_PRESETS):
        assert f"`{choice}`" in PAGE, choice


def test_pictures_are_small() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", PAGE)
    assert len(pictures) == 2
    for picture in pictures:
        assert (PROJECT_ROOT / "docs" / picture).stat().st_size < 300_000
