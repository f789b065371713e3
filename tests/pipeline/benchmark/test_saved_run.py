"""When saved detections of a benchmark are taken, and when they are computed anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.saved_run import run_key, saved_detections
from pipeline.config.config import load_config
from pipeline.core.errors import RunError
from pipeline.recorded.run_summary import CameraCounts, RunSummary
from reid.checkpoints import rewrite_card, save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig


def empty_run(config: object, output: Path, **more: object) -> RunSummary:
    """In place of `track`."""
    output.mkdir(exist_ok=True)
    return RunSummary()


def test_what_a_site_file_taught_the_model_belongs_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Path] = []

    def track(config: object, output: Path, **more: object) -> RunSummary:
        output.mkdir()
        runs.append(output)
        return RunSummary()

    monkeypatch.setattr("pipeline.recorded.track.track", track)
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
    monkeypatch.setattr("pipeline.recorded.track.track", empty_run)
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


def set_of(source: Path | str) -> BenchmarkSet:
    """One camera, a detector that need not exist, no embedder."""
    cameras = [{"name": "hall", "source": str(source)}]
    return BenchmarkSet("hall", load_config(None, {"cameras": cameras, "embedder": {"weights": None}}), {})


def test_a_video_rendered_again_into_its_place_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.recorded.track.track", empty_run)
    video = tmp_path / "hall.mp4"
    kept = []
    for content in (b"first", b"other", b"longer"):
        video.write_bytes(content)
        kept.append(saved_detections(set_of(video), tmp_path / "cache")["hall"])
    assert len(set(kept)) == 3
    elsewhere = tmp_path / "copy.mp4"
    elsewhere.write_bytes(b"first")
    assert saved_detections(set_of(elsewhere), tmp_path / "cache")["hall"] == kept[0]


@pytest.mark.parametrize("pattern", ["", "/*.jpg"])
def test_other_pictures_are_another_recording(tmp_path: Path, pattern: str) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.jpg").write_bytes(b"picture")
    (tmp_path / "notes.txt").touch()
    chosen = set_of(f"{tmp_path}{pattern}")
    first = run_key(chosen.config)
    (tmp_path / "notes.txt").write_text("does not matter")
    assert run_key(chosen.config) == first
    (tmp_path / "2.jpg").write_bytes(b"a larger one")
    second = run_key(chosen.config)
    (tmp_path / "3.jpg").write_bytes(b"picture")
    assert len({first, second, run_key(chosen.config)}) == 3


@pytest.mark.parametrize("frames", ["img1/1.jpg", "video.mp4"])
def test_a_sequence_depends_on_its_frames_and_not_on_its_ground_truth(tmp_path: Path, frames: str) -> None:
    (tmp_path / "img1").mkdir()
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nframeRate=7\n")
    (tmp_path / frames).write_bytes(b"picture")
    chosen = set_of(tmp_path)
    first = run_key(chosen.config)
    (tmp_path / "gt.txt").touch()
    assert run_key(chosen.config) == first
    (tmp_path / frames).write_bytes(b"a larger one")
    second = run_key(chosen.config)
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nframeRate=9\n")
    assert len({first, second, run_key(chosen.config)}) == 3


def test_a_recording_that_breaks_off_is_not_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the first run, and not in the next."""

    def track(config: object, output: Path, **more: object) -> RunSummary:
        empty_run(config, output)
        return RunSummary({"hall": CameraCounts(frames=3, problem="hall.mp4 ends after 3 of 9 frames")})

    monkeypatch.setattr("pipeline.recorded.track.track", track)
    for _ in range(2):
        with pytest.raises(RunError, match=r"hall: hall\.mp4 ends after 3 of 9 frames.* nothing is scored"):
            saved_detections(set_of("hall.mp4"), tmp_path / "cache")
