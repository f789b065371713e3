"""`mtmc demo` on a cut of its scene."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from pipeline.cli import main
from pipeline.commands import demo
from pipeline.config.config import load_config
from reid.checkpoints import save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from tests.helpers.demo_clips import cut, cut_ground_truth

# 2 s with people in the view.
FRAMES, FIRST = 20, 120


def test_the_last_table_shows_what_re_identification_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cameras = []
    for camera in load_config(demo.DEMO_CONFIG).cameras[:2]:
        video = cut(camera.name, FRAMES, tmp_path / f"{camera.name}.mp4", FIRST)
        cut_ground_truth(camera.name, FRAMES, tmp_path / f"{camera.name}_gt.txt", FIRST)
        cameras.append({"name": camera.name, "source": video.name, "homography": camera.homography})
    torch.manual_seed(0)
    tiny = TransReID(TransReIDConfig(width=32, depth=1, heads=1, image_size=(32, 16)))
    save_checkpoint(tmp_path / "tiny.safetensors", tiny, inference_only=True)
    models = {
        "detector": {"runtime": "torch", "image_size_px": 320},
        "embedder": {"weights": "tiny.safetensors", "runtime": "torch"},
    }
    config = tmp_path / "scene.yaml"
    config.write_text(yaml.safe_dump({"cameras": cameras, **models}))
    monkeypatch.setattr(demo, "DEMO_CONFIG", config)
    monkeypatch.setattr(demo, "SCENE", tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--output", str(tmp_path / "out")])
    assert not stop.value.code
    said = capsys.readouterr().out
    assert "linked by appearance, floor and time" in said
    assert "by floor and time alone" in said
    assert f"Wrote {tmp_path / 'out' / 'report.html'}" in said
    assert "Against ground truth" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    note = json.loads((tmp_path / "out" / "floor_alone" / "run.json").read_text())
    assert (note["embedded_crops"], note["hashes"]["embedder"]) == (0, "")
    for name in (
        "trajectories.csv",
        "scores.json",
        "demo.mp4",
        "still.png",
        "report.html",
        "floor_alone/scores.json",
    ):
        assert (tmp_path / "out" / name).is_file()
