"""The commands of docs/site.md, on seconds of the demo scene."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from pipeline.assembly import match_limits
from pipeline.commands.reid.app import app
from pipeline.config.calibration import Calibration
from pipeline.config.config import load_config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter
from reid.checkpoint_file import read_card
from reid.checkpoints import save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.site import load_site
from tests.helpers.demo_clips import cut
from tests.helpers.factories import make_tracklet
from tests.helpers.tiny_training import draw_people

TEXT = (PROJECT_ROOT / "docs" / "site.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
SETTINGS = [
    yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
]
TINY = TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), cameras=2, unknown_row=True)
# Three seconds with about six people in each of two overlapping views.
FRAMES, FIRST = 30, 100


def test_commands_and_settings_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an untrained model of a size that tests can wait for; the tracks to calibrate with are made up."""
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    save_checkpoint(weights, TransReID(TINY), camera_names=["c1", "c2"])
    cameras = [{"name": name, "source": f"{name}.mp4"} for name in ("entrance", "hall")]
    for name, camera in (("monday_entrance", "cam1"), ("monday_hall", "cam2")):
        cut(camera, FRAMES, tmp_path / f"{name}.mp4", FIRST)
    embedder = {"weights": str(weights), "runtime": "torch"}
    (tmp_path / "site.yaml").write_text(
        yaml.safe_dump({"cameras": cameras, "embedder": embedder, "detector": {"runtime": "torch"}})
    )
    draw_people(tmp_path / "crops")

    assert [command[2] for command in COMMANDS] == ["adapt", "calibrate", "calibrate"]
    for command in COMMANDS:
        arguments = command[2:]
        if "--tracklets" in arguments:
            make_tracks(tmp_path / "results", load_site(tmp_path / "site.safetensors").embedding_hash)
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    site = load_site(tmp_path / "site.safetensors")
    assert site.camera_names == ("entrance", "hall")
    assert (tmp_path / "distances.png").is_file()
    of_site, of_model = Calibration.from_card(site.card), Calibration.from_card(read_card(weights)[1])
    assert of_site is not None
    assert of_model is not None
    assert of_site.track.max_cosine_distance != of_model.track.max_cosine_distance

    with_site, limits = SETTINGS
    config = load_config(None, {"embedder": {**embedder, **with_site["embedder"]}, **limits})
    assert match_limits(config, site.embedding_hash).linker.cosine == of_site.track.max_cosine_distance


def make_tracks(folder: Path, embedder_hash: str) -> None:
    """Twelve people in the hall at one time, and twelve at the entrance."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    info = TrackletFileInfo(("entrance", "hall"), {0: "person"}, embedder_hash)
    with TrackletWriter(folder / "tracklets.arrow", info) as file:
        for camera in info.camera_ids:
            for number in range(12):
                views = rng.normal(size=32) + 0.2 * rng.normal(size=(4, 32))
                unit = views / np.linalg.norm(views, axis=1, keepdims=True)
                file.write(make_tracklet(camera_id=camera, track_id=number + 1, embeddings=unit))
