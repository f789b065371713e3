"""When saved detections of a benchmark are taken, and when they are computed anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.saved_run import saved_detections
from pipeline.config import load_config


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
