"""The commands of docs/embedders.md, with made networks on seconds of the demo scene; and what they leave behind."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pipeline.assembly import match_limits
from pipeline.cli import main
from pipeline.config.calibration import Calibration
from pipeline.config.config import load_config
from pipeline.core.inference_runtime import cpu_name
from pipeline.core.network_input import INPUT_PRESETS
from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.tracklet_file import read_info
from reid.checkpoints import save_checkpoint
from reid.embedding_model import embedding_card, embedding_hash
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.site import load_site
from tests.helpers.demo_clips import cut, cut_ground_truth
from tests.helpers.foreign_networks import DIM, write_onnx
from tests.helpers.tiny_training import draw_people

PAGE = (PROJECT_ROOT / "docs" / "embedders.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
TINY = TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), cameras=0)
NETWORK = "osnet_x0_25_msmt17.onnx"
FRAMES, FIRST = 30, 100


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code is None or isinstance(stop.value.code, int)
    return stop.value.code or 0


def test_every_preset_is_explained() -> None:
    for preset in INPUT_PRESETS:
        assert f"| `{preset}` |" in PAGE


def test_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / NETWORK)
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "weights.safetensors", TransReID(TINY))
    draw_people(tmp_path / "crops")
    for name, camera in (("entrance", "cam1"), ("hall", "cam2")):
        cut(camera, FRAMES, tmp_path / f"{name}.mp4", FIRST)
        cut_ground_truth(camera, FRAMES, tmp_path / f"{name}_gt.txt", FIRST)
    embedder, vehicles = [
        yaml.safe_load(block)["embedder"]
        for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    ]
    assert load_config(None, {"embedder": vehicles}).embedder.classes == ["car", "truck"]
    cameras = [{"name": name, "source": f"{name}.mp4"} for name in ("entrance", "hall")]
    detector = {"runtime": "torch"}
    site = {"cameras": cameras, "embedder": embedder, "detector": detector}
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
    truth = {name: f"{name}_gt.txt" for name in ("entrance", "hall")}
    (tmp_path / "set.yaml").write_text(
        yaml.safe_dump({"cameras": cameras, "detector": detector, "ground_truth": truth})
    )
    assert run("reid", "calibrate", "--data", "crops", "--checkpoint", "weights.safetensors") == 0
    capsys.readouterr()

    said: dict[str, str] = {}
    for program, *arguments in COMMANDS:
        assert program == "mtmc"
        monkeypatch.setattr(sys, "argv", ["/usr/bin/mtmc", *arguments])
        assert run(*arguments) == 0, capsys.readouterr().err
        said[" ".join(arguments[:2])] = " ".join(capsys.readouterr().out.split())

    stated = INPUT_PRESETS[embedder["input"]]
    model_hash = embedding_hash(tmp_path / NETWORK, stated)
    limits = Calibration.from_card(embedding_card(tmp_path / NETWORK, stated))
    assert limits is not None
    note = json.loads((tmp_path / "results" / "run.json").read_text())
    assert (
        note["hashes"]["embedder"]
        == model_hash
        == read_info(tmp_path / "results" / "tracklets.arrow").embedder_hash
    )
    assert note["config"]["linker"]["max_cosine_distance"] == limits.track.max_cosine_distance
    assert note["config"]["embedder"]["input"] == stated.model_dump()
    assert note["unknown_cameras"] == {}
    assert note["command"] == ["mtmc", "track", "--config", "site.yaml", "--output", "results"]
    assert note["started_utc"].endswith("+00:00")
    assert note["computed_by"]["detector"] == {
        "library": "torch", "precision": "fp32", "device": "cpu", "processor": cpu_name(),
    }  # fmt: skip
    assert note["computed_by"]["embedder"]["library"] == "OpenVINO"
    assert f"Embedder: {NETWORK}, OpenVINO, " in said["track --config"]
    assert "unknown to the embedding model" not in said["track --config"]

    assert f"{NETWORK} has no side information to learn" in said["reid adapt"]
    means = load_site(tmp_path / "means.safetensors")
    assert means.model_hash == model_hash
    assert means.means is not None
    assert means.means.shape == (2, DIM)
    assert f"{NETWORK} is computed by OpenVINO, fp32 on CPU" in said["reid evaluate"]
    for name in ("ours", "osnet"):
        assert f"{name}, embedder: OpenVINO, " in said["benchmark embedders"]
    assert "detector: torch, fp32 on cpu" in said["benchmark embedders"]

    # Linked again the limits are the same; embeddings that another network made are never mixed in.
    assert run("link", "results", "--output", "again") == 0
    with_site = ["--set", "embedder.site=means.safetensors", "--output", "sited", "--save-embeddings"]
    assert run("track", "--config", "site.yaml", *with_site) == 0
    saved = ["--detections", "entrance=sited/detections/entrance.parquet", "--detections", "hall=hall_gt.txt"]
    capsys.readouterr()
    assert run("track", "--config", "site.yaml", *saved, "--output", "mixed") == 2
    assert "they cannot be compared" in capsys.readouterr().err
    with_means = load_config(tmp_path / "site.yaml", {"embedder": {"site": "means.safetensors"}})
    centred = match_limits(with_means, means.embedding_hash)
    assert limits.centred_track is not None
    assert np.isclose(centred.linker.cosine, limits.centred_track.max_cosine_distance)


def test_networks_without_a_card_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_onnx(tmp_path / "a.onnx")
    for arguments, message in (
        ([], "give the networks to compare, as --embedder NAME=FILE"),
        (["--embedder", f"a={path},half"], f"mtmc reid calibrate --data CROPS --checkpoint {path} --input half"),
        (["--embedder", f"a={path}"], "does not say what its input holds"),
        (["--embedder", f"a={path},half", "--embedder", f"a={path},half"], "'a' is named twice"),
    ):
        assert run("benchmark", "embedders", *arguments) == 2
        assert message in capsys.readouterr().err
