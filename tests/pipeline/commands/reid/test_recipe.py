"""Data sets made small for another machine, and a training there that ends in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError
from reid.checkpoints import load_checkpoint
from reid.datasets import read_dataset
from reid.training.packing import pack, unpack
from tests.helpers.tiny_training import draw_people, tiny_values


def noisy_people(folder: Path) -> Path:
    """Two people in two cameras, crops of 80x40 pixels that no coder makes small."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for person in (1, 2):
        for camera in (1, 2):
            pixels = rng.integers(0, 256, (80, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{person:04}_c{camera}_00.png")
    return folder


def test_packed_crops_are_the_same_people_in_smaller_pictures(tmp_path: Path) -> None:
    crops = read_dataset(noisy_people(tmp_path / "crops")).train
    quality = pack({"shop": crops}, (40, 20), 1_000_000, tmp_path / "packed")
    assert quality == 95
    back = read_dataset(unpack(tmp_path / "packed" / "shop.zip", tmp_path / "there")).train
    assert [(crop.person_id, crop.camera) for crop in back.crops] == [(c.person_id, c.camera) for c in crops.crops]
    with Image.open(back.crops[0].path) as image:
        assert image.size == (20, 40)


def test_quality_falls_until_all_data_sets_fit(tmp_path: Path) -> None:
    crops = read_dataset(noisy_people(tmp_path / "crops")).train
    sizes = {}
    for limit in (30_000, 20_000):
        folder = tmp_path / str(limit)
        quality = pack({"a": crops, "b": crops}, (80, 40), limit, folder)
        sizes[quality] = sum(path.stat().st_size for path in folder.iterdir())
        assert sizes[quality] <= limit
    assert list(sizes) == sorted(sizes, reverse=True)
    assert len(sizes) == 2
    with pytest.raises(InputError, match=r"8 crops of 80x40 pixels .* more than 0 MB: take fewer data sets"):
        pack({"a": crops, "b": crops}, (80, 40), 2_000, tmp_path / "none")


def test_a_file_that_is_no_pack_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop.zip").write_bytes(b"none")
    for name in ("shop.zip", "street.zip"):
        with pytest.raises(InputError, match=f"{name} is not a file of"):
            unpack(tmp_path / name, tmp_path)


def short_scene(folder: Path) -> Path:
    """The configuration of a camera that shows four empty pictures."""
    (folder / "cam").mkdir()
    for number in range(4):
        Image.new("RGB", (64, 48), (90, 90, 90)).save(folder / "cam" / f"{number:06}.jpg")
    path = folder / "scene.yaml"
    in_torch = {"runtime": "torch"}  # an export for OpenVINO takes longer than all the rest
    camera = {"name": "cam", "source": "cam", "frame_rate": 5.0}
    path.write_text(yaml.safe_dump({"cameras": [camera], "detector": in_torch, "embedder": in_torch}))
    return path


def test_a_recipe_trains_in_its_time_and_measures_what_it_can(tmp_path: Path) -> None:
    folders = {name: draw_people(tmp_path / name, people) for name, people in (("shop", 24), ("street", 20))}
    sets: dict[str, Any] = {"shop": {"share": 0.5, "development_ids": 4}, "street": {"share": 0.5}}
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(tiny_values(data={"development_ids": 0, "sets": sets})))
    data = [option for name, path in folders.items() for option in ("--data", f"{name}={path}")]
    packed, output = str(tmp_path / "packed"), tmp_path / "out"
    result = CliRunner().invoke(
        app, ["pack", "--config", str(config), *data, "--output", packed, "--size", "32x16"]
    )
    assert result.exit_code == 0, result.output
    assert "shop: 192 crops of 24 people" in result.output
    arguments = ["recipe", "--packed", packed, "--output", str(output), "--minutes", "0.1", "--device", "cpu"]
    lines = ["--line", f"research={config}", "--line", f"open={config}", "--batches", "1,4"]
    lines += ["--scene", str(short_scene(tmp_path))]
    result = CliRunner().invoke(app, [*arguments, *lines], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report = json.loads((output / "report.json").read_text())
    for name in ("research", "open"):
        line = report["lines"][name]
        assert line["epochs"] >= 1
        assert line["batches"] == line["epochs"] * 20
        assert line["figures"]["unknown_cameras"]["queries"] == 4 * 8
        assert [one["computed_by"].split(",")[0] for one in line["embedder"]] == ["torch"]
        assert all(rate > 0 for rate in line["embedder"][0]["crops_per_s"].values())
        assert any("is not a GPU" in reason for reason in line["left_out"])
        assert any("TensorRT" in reason for reason in line["left_out"])
        assert load_checkpoint(output / f"{name}.safetensors").model.config.num_classes == 0
    assert report["whole_run"]["camera_frames"] == 4
