"""When saved detections of a benchmark are taken, and when they are computed anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.saved_run import saved_detections
from pipeline.config import load_config
from reid.checkpoints import rewrite_card, save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig


def test_what_a_site_file_taught_the_model_belongs_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Path] = []

    def track(config: object, output: Path, **more: object) -> None:
        output.mkdir()
        runs.append(output)

    monkeypatch.setattr("pipeline.tracking.track", track)
    site = tmp_path / "hall.site"
    cameras = [{"name": "hall", "source": "hall.mp4"}]
    chosen = BenchmarkSet("hall", load_config(None, {"cameras": cameras, "embedder": {"site": str(site)}}), {})
    kept = []
    for content in ("one", "one", "two"):
        site.write_text(content)
        kept.append(saved_detections(chosen, tmp_path / "cache")["hall"])
    assert kept[0] == kept[1] != kept[2]
    assert len(runs) == 2


def test_a_model_that_was_moved_or_calibrated_anew_embeds_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tracking.track", lambda config, output, **more: output.mkdir())
    tiny = TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16))

    def kept(weights: Path) -> Path:
        settings = {"cameras": [{"name": "hall", "source": "hall.mp4"}], "embedder": {"weights": str(weights)}}
        chosen = BenchmarkSet("hall", load_config(None, settings), {})
        return saved_detections(chosen, tmp_path / "cache")["hall"]

    first, copy, other = tmp_path / "first.safetensors", tmp_path / "copy.safetensors", tmp_path / "b.safetensors"
    for seed, path in ((0, first), (1, other)):
        torch.manual_seed(seed)
        save_checkpoint(path, TransReID(tiny), camera_names=[])
    shutil.copyfile(first, copy)
    rewrite_card(copy, {"calibration": "anew"})
    assert kept(first) == kept(copy) != kept(other)
