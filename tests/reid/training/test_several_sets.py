"""Training on several data sets at once: whose people and cameras are whose, and what a batch is made of."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.commands.reid.arguments import named_folders
from pipeline.core.errors import InputError
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.datasets import read_dataset, read_rgb
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.data import NO_IDENTITY, split
from reid.training.log import TrainingLog
from reid.training.pixels import decoded_crops
from reid.training.sampler import SharedBatches
from reid.training.teacher import Teacher
from reid.training.train import train
from reid.training.trainer import CHECKPOINT_NAME, Trainer
from reid.training.transforms import EvaluationTransform
from tests.helpers.tiny_training import draw_people, tiny_config, tiny_values

CPU = torch.device("cpu")
QUIET = Console(quiet=True)
SETS: dict[str, Any] = {
    "shop": {"share": 0.5, "development_ids": 4},
    "street": {"share": 0.25, "cameras": ["c2", "c1"]},
    "tracks": {"share": 0.25, "identities": False},
}
DATA: dict[str, Any] = {"data": {"development_ids": 0, "sets": SETS}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    return {
        name: draw_people(root / name, people) for name, people in (("shop", 24), ("street", 12), ("tracks", 6))
    }


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    torch.manual_seed(1)
    save_checkpoint(path, TransReID(TransReIDConfig(width=16, depth=1, heads=1, image_size=(32, 16))))
    return path


def test_people_and_cameras_of_two_sets_are_never_the_same(folders: dict[str, Path]) -> None:
    parts = split({name: read_dataset(path) for name, path in folders.items()}, tiny_config(**DATA))
    assert parts.cameras == tuple(
        f"{name}/c{camera}" for name in ("shop", "street", "tracks") for camera in (1, 2)
    )
    assert [(part.name, len(part.rows), part.ids_per_batch) for part in parts.sets] == [
        ("shop", 20 * 8, 4),
        ("street", 12 * 8, 2),
        ("tracks", 6 * 8, 2),
    ]
    labels = np.array(parts.labels)
    shop, street, tracks = (labels[part.rows.start : part.rows.stop] for part in parts.sets)
    assert (len(set(shop)), len(set(street)), set(tracks)) == (20, 12, {NO_IDENTITY})
    assert not set(shop) & set(street)
    assert max(street) == 31
    assert len(parts.known.person_ids) == 32
    assert [len(part.draws) for part in parts.sets] == [1, 0, 0]


def test_each_batch_has_the_shares_and_each_epoch_shuffles_anew(folders: dict[str, Path]) -> None:
    parts = split({name: read_dataset(path) for name, path in folders.items()}, tiny_config(**DATA))
    batches = SharedBatches(parts, crops_per_id=4, seed=0, batches_per_epoch=None)
    first, again, second = batches.batches(0), batches.batches(0), batches.batches(1)
    assert first == again != second
    assert len(first) == (160 + 96 + 48) // 32
    labels = np.array(parts.labels)
    for batch in first + second:
        of_set = Counter(next(part.name for part in parts.sets if row in part.rows) for row in batch)
        assert of_set == {"shop": 16, "street": 8, "tracks": 8}
        assert set(Counter(labels[batch[:24]]).values()) == {4}  # P identities with K crops each
    unknown = [row for batch in first for row in batch[24:]]
    assert len(set(unknown[:48])) == 48  # all of them before one comes again


def test_an_epoch_is_as_long_as_it_is_asked_to_be(folders: dict[str, Path]) -> None:
    datasets = {name: read_dataset(path) for name, path in folders.items()}
    batches = SharedBatches(split(datasets, tiny_config(**DATA)), crops_per_id=4, seed=0, batches_per_epoch=25)
    assert len(batches.batches(0)) == 25


@pytest.mark.parametrize(
    ("shares", "ids_per_batch", "expected"),
    [
        ((0.5, 0.3, 0.2), 10, (5, 3, 2)),
        ((0.5, 0.3, 0.2), 12, (6, 4, 2)),  # 6, 3.6, 2.4
        ((0.34, 0.33, 0.33), 16, (6, 5, 5)),  # 5.44, 5.28, 5.28
    ],
)
def test_shares_are_rounded_to_whole_identities(
    shares: tuple[float, ...], ids_per_batch: int, expected: tuple[int, ...]
) -> None:
    sets = {f"s{index}": {"share": share} for index, share in enumerate(shares)}
    config = tiny_config(data={"development_ids": 0, "sets": sets, "ids_per_batch": ids_per_batch})
    assert tuple(config.data.ids_of_sets().values()) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sets": {"a": {"share": 0.5}}, "development_ids": 0}, "add up to 0.5 instead of 1"),
        ({"sets": {"a": {"share": 1.0}}}, "each set has its own layout, cameras and development_ids"),
        (
            {"sets": {"a": {"share": 0.9}, "b": {"share": 0.1}}, "development_ids": 0},
            "gives b fewer than two identities",
        ),
        ({"sets": {"a/b": {"share": 1.0}}, "development_ids": 0}, "data.sets.a/b"),
    ],
)
def test_sets_that_cannot_be_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny_config(data=data)


@pytest.mark.parametrize(
    ("sets", "given", "message"),
    [
        (
            SETS,
            {"shop": "shop"},
            "need --data shop=FOLDER, --data street=FOLDER, --data tracks=FOLDER; given are shop",
        ),
        (SETS, {"": "shop"}, "given are a folder without a name"),
        (None, {"shop": "shop"}, "needs data.sets in the configuration"),
    ],
)
def test_every_set_needs_its_folder(
    sets: Any, given: dict[str, str], message: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    config = tiny_config(data={"development_ids": 0, "sets": sets})
    with pytest.raises(InputError, match=message):
        train(
            config,
            data={name: folders[folder] for name, folder in given.items()},
            folder=tmp_path,
            device=CPU,
            console=QUIET,
        )


def test_folders_on_the_command_line_have_names(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    assert named_folders([str(tmp_path / "a=b")]) == {"": tmp_path / "a=b"}
    assert named_folders(["x=crops/x", "y=crops/y=1"]) == {"x": Path("crops/x"), "y": Path("crops/y=1")}
    assert named_folders(["nowhere"]) == {"": Path("nowhere")}
    with pytest.raises(InputError, match="--data x=2: x is given twice"):
        named_folders(["x=1", "x=2"])


def test_a_run_on_several_sets_learns_from_teachers_measures_each_and_resumes(
    folders: dict[str, Path], network: Path, tmp_path: Path
) -> None:
    config_path = tmp_path / "tiny.yaml"
    config_path.write_text(yaml.safe_dump(tiny_values(**DATA, loss={"regression_weight": 1.0})))
    data = [option for name, path in folders.items() for option in ("--data", f"{name}={path}")]
    arguments = [
        "train",
        "--config",
        str(config_path),
        *data,
        "--device",
        "cpu",
        "--output",
        str(tmp_path / "run"),
    ]
    result = CliRunner().invoke(app, [*arguments, "--teacher", str(network)])
    assert result.exit_code == 0, result.output
    assert "of the time in the network" in result.output
    entries = [entry for entry in TrainingLog(tmp_path / "run").entries() if entry["kind"] == "epoch"]
    assert list(entries[-1]["sets"]) == ["shop"]
    assert entries[-1]["sets"]["shop"]["unknown_cameras"] == entries[-1]["unknown_cameras"]
    assert 0 < entries[-1]["regression_loss"] < 2
    assert 0.2 < entries[-1]["network_share"] <= 1
    loaded = load_checkpoint(tmp_path / "run" / CHECKPOINT_NAME)
    assert loaded.camera_names[:2] == ("shop/c1", "shop/c2")
    assert loaded.model.config.num_classes == 20 + 12

    again = CliRunner().invoke(app, [*arguments, "--teacher", str(network), "--resume"])
    assert again.exit_code == 0, again.output
    refused = CliRunner().invoke(app, [*arguments, "--resume"])
    assert "belongs to a run with the teacher teacher.safetensors" in str(refused.exception)


def test_regression_layers_go_on_with_their_run(folders: dict[str, Path], network: Path, tmp_path: Path) -> None:
    """A run that is interrupted ends with the layers, and the weights, of one that is not."""
    config = tiny_config(**DATA, loss={"regression_weight": 1.0}, run={"ema_decay": 0.9})

    class Interrupted(Exception):
        pass

    def stop(iteration: int) -> None:
        if iteration == 5:
            raise Interrupted

    options: dict[str, Any] = {"data": folders, "teachers": [Teacher(network)], "device": CPU, "console": QUIET}
    with pytest.raises(Interrupted):
        train(config, folder=tmp_path / "part", on_iteration=stop, **options)
    part = train(config, folder=tmp_path / "part", resume=True, **options).state_dict()
    whole = train(config, folder=tmp_path / "whole", **options).state_dict()
    assert part["regressions"].keys() == {"0.weight", "0.bias"}
    for name in ("model", "ema", "regressions"):
        for key, value in whole[name].items():
            assert torch.equal(part[name][key], value), (name, key)


def test_crops_without_identities_need_a_teacher_alone(
    folders: dict[str, Path], network: Path, tmp_path: Path
) -> None:
    sets = {"tracks": {"share": 1.0, "identities": False}}
    data = {"tracks": folders["tracks"]}
    config = tiny_config(data={"development_ids": 0, "sets": sets})
    with pytest.raises(InputError, match=r"set loss\.identity_weight to 0"):
        train(config, data=data, folder=tmp_path / "a", device=CPU, console=QUIET)
    config = tiny_config(
        data={"development_ids": 0, "sets": sets},
        loss={"identity_weight": 0.0, "regression_weight": 1.0},
        schedule={"epochs": 12},
    )
    folder = tmp_path / "run"
    console = Console(width=200, record=True, file=io.StringIO())
    train(config, data=data, folder=folder, teachers=[Teacher(network)], device=CPU, console=console)
    assert re.search(r"0 crops of 0 people and \d+ without identities from", console.export_text())
    losses = [entry["loss"] for entry in TrainingLog(folder).entries() if entry["kind"] == "epoch"]
    assert losses[-1] < 0.8 * losses[0]


def test_all_people_of_a_plain_folder_can_be_learned_from(folders: dict[str, Path], tmp_path: Path) -> None:
    """Nobody is left to measure progress on; the log then has losses alone."""
    config = tiny_config(data={"development_ids": 0}, schedule={"epochs": 1})
    train(config, data={"": folders["street"]}, folder=tmp_path, device=CPU, console=QUIET)
    entry = TrainingLog(tmp_path).entries()[-1]
    assert "known_cameras" not in entry
    assert load_checkpoint(tmp_path / CHECKPOINT_NAME).model.config.num_classes == 12


def test_pictures_are_decoded_once_as_for_evaluation(folders: dict[str, Path], tmp_path: Path) -> None:
    crops = read_dataset(folders["tracks"]).train
    pixels = decoded_crops(crops, (16, 8), tmp_path, QUIET)
    assert (pixels.shape, pixels.dtype) == ((48, 3, 16, 8), np.uint8)
    expected = EvaluationTransform((16, 8), (0, 0, 0), (1, 1, 1))
    torch.testing.assert_close(torch.from_numpy(pixels[7] / 255).float(), expected(read_rgb(crops.crops[7].path)))
    assert len(list(tmp_path.glob("crops_*.npy"))) == 1
    assert decoded_crops(crops, (32, 8), tmp_path, QUIET).shape == (48, 3, 32, 8)


def test_frozen_stages_of_a_stem_stay_and_the_rest_learns_slowly(folders: dict[str, Path], tmp_path: Path) -> None:
    stem = {"channels": [64, 64, 64, 64], "gate_groups": [4, 4, 4]}
    config = tiny_config(
        model={"stem": stem},
        data={"ids_per_batch": 4},
        optimizer={"frozen_stem_stages": 2, "stem_lr_factor": 0.1},
        schedule={"epochs": 1, "batches_per_epoch": 3},
    )
    data = {"": folders["shop"]}
    begun = Trainer(config, {"": read_dataset(folders["shop"])}, tmp_path, CPU).model.state_dict()
    done = train(config, data=data, folder=tmp_path / "run", device=CPU, console=QUIET).model.state_dict()
    changed = {name for name in begun if not torch.equal(begun[name], done[name])}
    stem_prefix = "base.patch_embed."
    frozen = tuple(f"{stem_prefix}{part}." for part in ("input_norm", "conv", "conv_norm", "stages.0", "stages.1"))
    assert not any(name.startswith(frozen) for name in changed)
    assert any(name.startswith(f"{stem_prefix}stages.2.") for name in changed)
    assert load_checkpoint(tmp_path / "run" / CHECKPOINT_NAME).model.config.stem_channels == (64, 64, 64, 64)
    with pytest.raises(InputError, match=r"frozen_stem_stages is for a model with model\.stem"):
        Trainer(
            tiny_config(optimizer={"frozen_stem_stages": 1}), {"": read_dataset(folders["shop"])}, tmp_path, CPU
        )
