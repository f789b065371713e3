"""Training from configuration to checkpoint, on crops that the tests draw."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from pipeline.errors import InputError
from reid.checkpoints import load_checkpoint
from reid.cli import app
from reid.datasets import read_dataset
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.config import (
    AugmentationConfig,
    OptimizerConfig,
    TrainingConfig,
    load_training_config,
    parse_training_config,
)
from reid.training.log import TrainingLog
from reid.training.optimizer import build_optimizer, freeze_first_blocks
from reid.training.start import RowNames, standardise_features, start_from
from reid.training.train import CHECKPOINT_NAME, Trainer, train
from reid.training.transforms import EvaluationTransform, TrainingTransform, erase_rectangle

CONFIGS = Path(__file__).parents[2] / "configs" / "reid"
CPU = torch.device("cpu")
QUIET = Console(quiet=True)
HALF = (0.5, 0.5, 0.5)

TINY: dict[str, Any] = {
    "model": {
        "architecture": {"width": 32, "depth": 2, "heads": 2},
        "image_size_hw": [32, 16],
        "jigsaw": False,
        "drop_path": 0.1,
    },
    "data": {"development_ids": 8, "ids_per_batch": 8, "crops_per_id": 4, "camera_dropout": 0.3},
    "augmentation": {"pad_px": 1, "erasing_probability": 0.2, "brightness_jitter": 0.1, "hue_jitter": 0.01},
    "optimizer": {"name": "adamw", "lr": 2.0e-3, "weight_decay": 0.01, "clip_norm": 5.0},
    "schedule": {"epochs": 2, "warmup_epochs": 0.5},
    "run": {"checkpoint_every_iterations": 2, "log_every_iterations": 1, "precision": "fp32"},
}


def tiny_config(**sections: dict[str, Any]) -> TrainingConfig:
    values = copy.deepcopy(TINY)
    for section, changes in sections.items():
        values[section] |= changes
    return parse_training_config(values, source="tiny")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other at every small operation are slow, the more so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 people in shirt and trousers of random colours, 4 crops in each of two cameras.

    The second camera is darker and yellowish, so that an untrained network finds the camera, not the person.
    """
    folder = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    for person in range(32):
        shirt, trousers = rng.uniform(40, 255, (2, 3))
        for camera, cast in ((1, np.array([1.0, 1.0, 1.0])), (2, np.array([0.7, 0.6, 0.3]))):
            for number in range(4):
                image = np.empty((32, 16, 3))
                image[:16], image[16:] = shirt, trousers
                image = image * cast * rng.uniform(0.85, 1.15) + rng.normal(0, 12, image.shape)
                pixels = image.clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{person:04}_c{camera}_{number:02}.png")
    return folder


def test_training_makes_people_findable(people: Path, tmp_path: Path) -> None:
    config = tiny_config(schedule={"epochs": 15}, run={"evaluate_every_epochs": 15})
    untrained = Trainer(config, read_dataset(people), tmp_path, CPU).evaluate()
    train(config, data=people, folder=tmp_path, device=CPU, console=QUIET)

    epochs = [entry for entry in TrainingLog(tmp_path).entries() if entry["kind"] == "epoch"]
    assert epochs[-1]["loss"] < 0.6 * epochs[0]["loss"]
    for way in ("known_cameras", "unknown_cameras"):
        assert epochs[-1][way]["mAP"] > untrained[way]["mAP"] + 0.2
    with Image.open(tmp_path / "progress.png") as plot:
        assert plot.size == (840, 480)

    loaded = load_checkpoint(tmp_path / CHECKPOINT_NAME)
    assert loaded.camera_names == ("c1", "c2")
    assert loaded.model.config.unknown_row
    assert loaded.model.config.num_classes == 24


def test_evaluate_command_repeats_the_figures_of_training(people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    config_path = tmp_path / "tiny.yaml"
    config_path.write_text(yaml.safe_dump(TINY | {"schedule": {"epochs": 1, "warmup_epochs": 0.5}}))
    runner = CliRunner()
    arguments = ["--config", str(config_path), "--data", str(people), "--output", str(folder), "--device", "cpu"]
    result = runner.invoke(app, ["train", *arguments])
    assert result.exit_code == 0, result.output
    assert "192 crops of 24 people from 2 cameras" in result.output

    # the same 8 people that training held out: evenly spaced among 32
    development = tmp_path / "development"
    development.mkdir()
    for path in people.iterdir():
        if int(path.name[:4]) % 4 == 2:
            (development / path.name).write_bytes(path.read_bytes())
    entry = TrainingLog(folder).entries()[-1]
    for option, way in (([], "known_cameras"), (["--unknown-cameras"], "unknown_cameras")):
        arguments = ["--data", str(development), "--checkpoint", str(folder / CHECKPOINT_NAME), "--json", *option]
        result = runner.invoke(app, ["evaluate", *arguments, "--device", "cpu"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.output) == pytest.approx(entry[way], abs=1e-6)


class Killed(Exception):
    """Stands for a kill between two batches."""


@pytest.mark.parametrize("kill_after", [3, 5, 7, 10])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(people: Path, tmp_path: Path, kill_after: int) -> None:
    """Five batches an epoch, a state every second batch and after each epoch.

    3 and 7 lose a batch, 5 ends before the epoch is evaluated, 10 right after its last batch was saved.
    """
    config = tiny_config(run={"ema_decay": 0.9})
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = train(config, data=people, folder=whole, device=CPU, console=QUIET).state_dict()

    def kill(iteration: int) -> None:
        if iteration == kill_after:
            raise Killed

    with pytest.raises(Killed):
        train(config, data=people, folder=broken, device=CPU, console=QUIET, on_iteration=kill)
    (broken / "last.pt.partial").write_bytes(b"half a state")
    with (broken / "log.jsonl").open("a") as log:
        log.write('{"kind": "iter')
    state = train(config, data=people, folder=broken, resume=True, device=CPU, console=QUIET).state_dict()

    for part in ("model", "ema"):
        for name, tensor in expected[part].items():
            assert torch.equal(state[part][name], tensor), name
    assert without_times(broken) == without_times(whole)


def without_times(folder: Path) -> list[dict[str, Any]]:
    entries = TrainingLog(folder).entries()
    assert [entry["kind"] for entry in entries] == 2 * [*5 * ["iteration"], "epoch"]
    return [{key: value for key, value in entry.items() if key != "left_s"} for entry in entries]


def test_a_run_is_neither_overwritten_nor_resumed_with_other_settings(people: Path, tmp_path: Path) -> None:
    def stop(iteration: int) -> None:
        if iteration == 2:
            raise Killed

    def start(config: TrainingConfig, *, resume: bool) -> None:
        train(config, data=people, folder=tmp_path, resume=resume, device=CPU, console=QUIET, on_iteration=stop)

    with pytest.raises(InputError, match="nothing to resume"):
        start(tiny_config(), resume=True)
    with pytest.raises(Killed):
        start(tiny_config(), resume=False)
    with pytest.raises(InputError, match="already holds a run"):
        start(tiny_config(), resume=False)
    with pytest.raises(InputError, match=r"another configuration \(optimizer\.lr\)"):
        start(tiny_config(optimizer={"lr": 1.0e-3}), resume=True)


def test_second_run_starts_from_the_first_at_a_larger_size(people: Path, tmp_path: Path) -> None:
    config = tiny_config(schedule={"epochs": 1}, model={"jigsaw": True, "image_size_hw": [64, 32]})
    train(config, data=people, folder=tmp_path, device=CPU, console=QUIET)
    first = load_checkpoint(tmp_path / CHECKPOINT_NAME).model
    larger = tiny_config(model={"jigsaw": True, "image_size_hw": [96, 32]})
    trainer = Trainer(larger, read_dataset(people), tmp_path, CPU)
    report = trainer.start_from(tmp_path / CHECKPOINT_NAME)
    assert report[0] == "resized the position embedding from 4x2 to 6x2 patches"
    own, source = trainer.model.state_dict(), first.state_dict()
    assert own["base.pos_embed"].shape == (1, 13, 32)
    assert own["base.pos_embed"][:, :1].equal(source["base.pos_embed"][:, :1])
    assert all(own[name].equal(source[name]) for name in own if name != "base.pos_embed")


def test_start_from_a_plain_transformer_and_from_another_width(tmp_path: Path) -> None:
    source = TransReID(TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 32)))
    path = tmp_path / "vit.pth"
    torch.save({k.removeprefix("base."): v for k, v in source.state_dict().items() if k.startswith("base.")}, path)
    model = TransReID(TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), num_classes=3))
    start_from(model, path, RowNames())
    assert model.base.cls_token.equal(source.base.cls_token)
    with pytest.raises(InputError, match="width 48"):
        start_from(TransReID(TransReIDConfig(width=48, depth=2, heads=2, image_size=(32, 16))), path, RowNames())


@pytest.mark.parametrize("jigsaw", [False, True])
def test_standardised_features_have_mean_0_and_deviation_1(jigsaw: bool) -> None:
    torch.manual_seed(0)
    model = TransReID(TransReIDConfig(width=32, depth=2, heads=2, image_size=(64, 32), jpm=jigsaw))
    images = torch.randn(64, 3, 64, 32)
    with torch.no_grad():
        before = model.eval().features(images)[0]
        standardise_features(model, images)
        overall, *local = model.features(images)
    heads = [overall, torch.cat(local)] if jigsaw else [overall]
    for features in heads:
        assert features.mean(0).abs().max() < 1e-3
        assert (features.std(0) - 1).abs().max() < 1e-3
    assert torch.allclose(overall, (before - before.mean(0)) / before.std(0), atol=1e-3)


@pytest.mark.parametrize(
    ("section", "changes", "expected"),
    [
        pytest.param("data", {"development_ids": 30}, "32 identities.*development_ids 30", id="too few people"),
        pytest.param("data", {"development_ids": 0}, "no test part", id="nothing to measure on"),
        pytest.param("optimizer", {"frozen_blocks": 3}, "frozen_blocks 3.*2 blocks", id="too many frozen"),
    ],
)
def test_settings_that_do_not_fit_the_data(
    people: Path, tmp_path: Path, section: str, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        Trainer(tiny_config(**{section: changes}), read_dataset(people), tmp_path, CPU)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    assert load_training_config(path).schedule.epochs >= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("model: [", "is not valid YAML", id="no YAML"),
        pytest.param("model: {architecture: vit_small, sizes: 3}", "model.sizes: .*but found 3", id="unknown key"),
        pytest.param("model: {}", r"model\.architecture: Field required", id="missing key"),
        pytest.param("schedule: {epochs: 2.5}", r"schedule\.epochs: .*integer.*2\.5", id="wrong type"),
        pytest.param("optimizer: {name: sgd, lr: 1e-4}", r"optimizer\.lr: .*'1e-4'; .*write 1\.0e-4", id="text"),
        pytest.param("schedule: {epochs: 4, warmup_epochs: 5.0}", "must be less than epochs 4", id="long warm-up"),
    ],
)
def test_configuration_errors_name_file_key_and_expectation(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        load_training_config(path)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines()[:1])
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot read"):
        load_training_config(tmp_path / "nowhere.yaml")


def test_parameter_groups() -> None:
    model = TransReID(TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), cameras=2, num_classes=3))
    freeze_first_blocks(model, 1)
    config = OptimizerConfig(
        name="sgd", lr=1.0, layer_decay=0.5, new_parameter_lr_factor=3.0, bias_lr_factor=2.0, weight_decay=0.1
    )
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {name_of[id(group["params"][0])]: group for group in build_optimizer(model, config).param_groups}
    rates = {name: (group["lr"], group["weight_decay"]) for name, group in groups.items()}
    assert not any(name.startswith(("base.patch_embed", "base.blocks.0")) for name in rates)
    assert "bottleneck.bias" not in rates  # frozen by the model
    assert rates["base.cls_token"] == (0.25, 0.0)
    assert rates["base.blocks.1.attn.qkv.weight"] == (1.0, 0.1)
    assert rates["base.blocks.1.attn.qkv.bias"] == (2.0, 0.0)
    assert rates["base.sie_embed"] == (1.0, 0.0)  # added to every token: a high rate drowns the patches
    assert rates["classifier.weight"] == (3.0, 0.1)


def test_training_transform_keeps_the_order_of_switched_off_steps() -> None:
    """With everything off it is the evaluation transform but for the kind of resizing, which a flat image hides."""
    image = Image.new("RGB", (30, 60), (255, 0, 51))
    off = AugmentationConfig(flip_probability=0.0, pad_px=0, erasing_probability=0.0)
    pixels = TrainingTransform((32, 16), HALF, HALF, off)(image, np.random.default_rng(0))
    assert pixels.shape == (3, 32, 16)
    assert pixels[:, 5, 5].tolist() == pytest.approx([1.0, -1.0, -0.6])
    assert torch.equal(pixels, EvaluationTransform((32, 16), HALF, HALF)(image))


def test_flip_padding_and_repeatability() -> None:
    left_white = Image.fromarray(np.repeat([[[255], [0]]], 3, axis=2).astype(np.uint8)).resize((16, 32), 0)
    flip = AugmentationConfig(flip_probability=1.0, pad_px=0, erasing_probability=0.0)
    flipped = TrainingTransform((32, 16), HALF, HALF, flip)(left_white, np.random.default_rng(0))
    assert flipped[0, 16, 2] == -1.0
    assert flipped[0, 16, 13] == 1.0

    everything = AugmentationConfig(
        erasing_probability=1.0,
        brightness_jitter=0.3,
        contrast_jitter=0.3,
        saturation_jitter=0.3,
        hue_jitter=0.1,
    )
    transform = TrainingTransform((32, 16), HALF, HALF, everything)
    once, again, other = (transform(left_white, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_erased_rectangle_is_a_share_of_the_image() -> None:
    for seed in range(30):
        pixels = torch.full((3, 64, 32), 9.0)
        erase_rectangle(pixels, np.random.default_rng(seed))
        erased = pixels[0] != 9.0
        rows, columns = erased.any(1).nonzero(), erased.any(0).nonzero()
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert erased.sum() == height * width
        assert 0.015 < height * width / (64 * 32) < 0.36  # 2 % to 33 %, sides rounded to pixels
