"""Places that take no part in a training: which crops are measured, with what recipe, and the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.datasets import read_dataset
from reid.evaluation.retrieval import LabelledFeatures
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.config import SetConfig
from reid.training.places import PlaceFigures, crops_of_place, place_figures, places, without_place
from tests.helpers.tiny_training import draw_people, tiny_config, tiny_values

SETS: dict[str, Any] = {
    "shop": {"share": 0.5},
    "street": {"share": 0.25},
    "tracks": {"share": 0.25, "identities": False},
}
DATA: dict[str, Any] = {"data": {"development_ids": 0, "ids_per_batch": 16, "sets": SETS}}


def test_shares_of_what_is_left_keep_their_proportions() -> None:
    sets = without_place(tiny_config(**DATA), "shop").data.sets
    assert sets is not None
    assert {name: one.share for name, one in sets.items()} == {"street": 0.5, "tracks": 0.5}


def test_places_are_data_sets_with_identities() -> None:
    assert places(tiny_config(**DATA)) == ["shop", "street"]
    one = {"shop": {"share": 0.5}, "tracks": {"share": 0.5, "identities": False}}
    with pytest.raises(InputError, match=r"at least two data sets with identities .* there is shop"):
        places(tiny_config(data={"development_ids": 0, "sets": one}))
    with pytest.raises(InputError, match="there are none"):
        places(tiny_config())


def test_people_seen_by_one_camera_are_not_measured(tmp_path: Path) -> None:
    for name in ("0001_c1_00", "0001_c2_00", "0002_c1_00", "0003_c1_00", "0003_c2_00", "0004_c2_00", "0004_c3_00"):
        Image.new("RGB", (8, 16)).save(tmp_path / f"{name}.png")
    dataset = read_dataset(tmp_path)
    assert crops_of_place(dataset, SetConfig(share=1.0), 9).person_ids == (1, 3, 4)
    assert crops_of_place(dataset, SetConfig(share=1.0), 2).person_ids == (1, 4)
    assert crops_of_place(dataset, SetConfig(share=1.0, cameras=("c1", "c2")), 9).person_ids == (1, 3)
    with pytest.raises(InputError, match="nobody is in two cameras"):
        crops_of_place(dataset, SetConfig(share=1.0, cameras=("c3",)), 9)


def test_between_cameras_people_of_the_own_camera_stand_in_nobodys_way() -> None:
    """Directions of three people; the second camera turns everybody by 12 degrees, so that its crops lie together."""
    degrees = {("c1", 1): 0, ("c1", 2): 10, ("c1", 3): 20, ("c2", 1): 12, ("c2", 2): 22, ("c2", 3): 32}
    radians = np.deg2rad(list(degrees.values()))
    features = LabelledFeatures(
        np.stack([np.cos(radians), np.sin(radians)], 1),
        np.array([person for _, person in degrees]),
        np.array([camera for camera, _ in degrees]),
    )
    figures = place_figures(features)
    # Rank of the true match between cameras: c1 queries 1 (12 | 22 | 32), 2 (2 | 12 | 22), 3 (2 | 8 | 12); c2 queries
    # the other way round: 3, 2, 1. Average precision is 1 / rank, as there is one match each.
    assert figures.rank1_between == pytest.approx(2 / 6)
    assert figures.map_between == pytest.approx(2 * (1 + 1 / 2 + 1 / 3) / 6)
    # Among all, others of the own camera come in between: 10 | 12, ranks 2, 4, 4 and back 4, 4, 2.
    assert figures.rank1_all == 0
    assert figures.map_all == pytest.approx(2 * (1 / 2 + 1 / 4 + 1 / 4) / 6)


def test_the_mean_over_places() -> None:
    mean = PlaceFigures.mean({"a": PlaceFigures(0.2, 0.4, 0.6, 0.8), "b": PlaceFigures(0.4, 0.4, 0.8, 0.6)})
    assert list(mean.to_dict().values()) == pytest.approx([0.3, 0.4, 0.7, 0.7])


def test_the_command_trains_without_each_place_and_measures_it(tmp_path: Path) -> None:
    folders = {name: draw_people(tmp_path / name, people) for name, people in (("shop", 24), ("street", 20))}
    sets = {name: {"share": 0.5} for name in folders}
    config = tmp_path / "tiny.yaml"
    values = tiny_values(data={"development_ids": 0, "sets": sets}, schedule={"epochs": 1})
    config.write_text(yaml.safe_dump(values))
    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    save_checkpoint(start, TransReID(TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16))))
    arguments = ["places", "--config", str(config), "--output", str(tmp_path / "runs"), "--device", "cpu"]
    arguments += [option for name, path in folders.items() for option in ("--data", f"{name}={path}")]
    result = CliRunner().invoke(app, [*arguments, "--init", str(start), "--people", "8"])
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "runs" / "places.json").read_text())
    assert list(figures) == ["trained without it", "start"]
    assert list(figures["start"]) == ["shop", "street", "mean"]
    for of in figures.values():
        for key, value in of["mean"].items():
            assert value == pytest.approx((of["shop"][key] + of["street"][key]) / 2)
            assert 0 <= value <= 1
    assert figures["start"]["shop"] != figures["trained without it"]["shop"]
    stamp = (tmp_path / "runs" / "without_shop" / "last.pt").stat().st_mtime_ns
    again = CliRunner().invoke(app, [*arguments, "--init", str(start), "--people", "8", "--place", "shop"])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "runs" / "without_shop" / "last.pt").stat().st_mtime_ns == stamp  # nothing is trained again
    # A backbone that knows nothing about people is no network to compare with.
    backbone = tmp_path / "backbone.safetensors"
    weights = load_checkpoint(start).model.base.state_dict()
    save_file({name: weights[name] for name in weights if not name.startswith("sie")}, backbone)
    shop = [*arguments, "--people", "8", "--place", "shop", "--output", str(tmp_path / "other")]
    result = CliRunner().invoke(app, [*shop, "--init", str(backbone)])
    assert result.exit_code == 0, result.output
    assert list(json.loads((tmp_path / "other" / "places.json").read_text())) == ["trained without it"]
    refused = CliRunner().invoke(app, [*arguments, "--place", "moon"])
    assert "--place moon: the data sets with identities are shop, street" in str(refused.exception)
