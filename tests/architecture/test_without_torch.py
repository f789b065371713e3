"""On a CPU, a run with converted networks imports neither torch nor what needs it, and gives the same results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.gpu import torch_may_use_gpu
from tests.architecture.import_graph import ROOT

HEAVY = ("torch", "torchvision", "timm", "ultralytics")
_BLOCKED = f"""
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocked())
from pipeline.cli import main
main()
"""
_WITH_TORCH = """
import torch, ultralytics
from pipeline.cli import main
main()
"""


def mtmc(*arguments: str | Path, code: str = _BLOCKED) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(torch_may_use_gpu(), reason="there is a GPU here, which torch uses")
def test_track_link_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setenv("MTMC_CACHE", str(tmp_path / "cache"))
    videos = [ROOT / "demo" / "scene" / f"cam{number}.mp4" for number in (1, 2)]
    exact = ["--set", "detector.half=false", "--set", "embedder.half=false"]
    run = ["track", *videos, "--start", "3", "--end", "4.5", *exact, "--output"]
    ordinary = mtmc(*run, tmp_path / "ordinary", code=_WITH_TORCH)
    assert "preparing the detector" in ordinary
    assert "preparing the embedding model" in ordinary
    blocked = mtmc(*run, tmp_path / "blocked")
    assert "preparing" not in blocked
    rows = (tmp_path / "blocked" / "trajectories.csv").read_bytes()
    assert rows.count(b"\n") > 10
    assert rows == (tmp_path / "ordinary" / "trajectories.csv").read_bytes()
    notes = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("ordinary", "blocked")]
    assert notes[0]["computed_by"] == notes[1]["computed_by"]
    mtmc("link", tmp_path / "blocked", "--output", tmp_path / "linked")
    mtmc("report", tmp_path / "linked")


@pytest.mark.parametrize("command", ["live", "count", "find", "view"])
def test_no_command_imports_them_to_show_its_help(command: str) -> None:
    mtmc(command, "--help")
