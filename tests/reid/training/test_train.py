"""Training from configuration to checkpoint, on crops that the tests draw."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError, RunError
from pipeline.core.paths import PROJECT_ROOT
from reid.checkpoints import load_checkpoint
from reid.datasets import read_dataset
from reid.evaluation.features import extract_features
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.config import OptimizerConfig, TrainingConfig
from reid.training.log import TrainingLog
from reid.training.losses import batch_hard_triplet_loss
from reid.training.optimizer import build_optimizer, freeze_first_blocks
from reid.training.start import standardise_features
from reid.training.state import load_state
from reid.training.train import train
from reid.training.trainer import CHECKPOINT_NAME, Trainer
from tests.helpers.tiny_training import TINY, draw_people, tiny_config, tiny_values

CPU = torch.device("cpu")
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("people"))


def test_training_makes_people_findable(people: Path, tmp_path: Path) -> None:
    config = tiny_config(schedule={"epochs": 15}, run={"evaluate_every_epochs": 15})
    untrained = Trainer(config, {"": read_dataset(people)}, tmp_path, CPU).evaluate()
    train(config, data={"": people}, folder=tmp_path, device=CPU, console=QUIET)

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


def test_all_people_of_a_plain_folder_can_be_trained_on(people: Path, tmp_path: Path) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    before = os.umask(0o027)
    try:
        config = tiny_config(data={"development_ids": 0}, schedule={"epochs": 1})
        train(config, data={"": people}, folder=tmp_path / "run", device=CPU, console=console)
    finally:
        os.umask(before)
    assert "nothing is measured during training, because development_ids is 0" in console.export_text()
    assert load_checkpoint(tmp_path / "run" / CHECKPOINT_NAME).model.config.num_classes == 32
    entries = [entry for entry in TrainingLog(tmp_path / "run").entries() if entry["kind"] == "epoch"]
    assert all("known_cameras" not in entry for entry in entries)
    # Who may read the files is decided by the umask.
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()}
    assert modes == dict.fromkeys(modes, 0o640)
    assert CHECKPOINT_NAME in modes


def test_held_out_people_are_measured_without_a_word(people: Path, tmp_path: Path) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    train(tiny_config(schedule={"epochs": 1}), data={"": people}, folder=tmp_path, device=CPU, console=console)
    assert "is measured" not in console.export_text()


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
    for rows, way in (("own", "known_cameras"), ("unknown", "unknown_cameras")):
        figures = tmp_path / f"{rows}.json"
        arguments = ["--data", str(development), "--checkpoint", str(folder / CHECKPOINT_NAME), "--rows", rows]
        result = runner.invoke(app, ["evaluate", *arguments, "--json", str(figures), "--device", "cpu"])
        assert result.exit_code == 0, result.output
        assert json.loads(figures.read_text())["all"] == pytest.approx(entry[way], abs=1e-6)


class Interrupted(Exception):
    """Stands for a stop between two batches."""


def test_a_run_is_neither_overwritten_nor_resumed_with_other_settings(people: Path, tmp_path: Path) -> None:
    def stop(iteration: int) -> None:
        if iteration == 2:
            raise Interrupted

    def start(config: TrainingConfig, *, resume: bool) -> None:
        train(
            config, data={"": people}, folder=tmp_path, resume=resume, device=CPU, console=QUIET, on_iteration=stop
        )

    with pytest.raises(InputError, match="nothing to resume"):
        start(tiny_config(), resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--output \S*file cannot be a folder"):
        train(tiny_config(), data={"": people}, folder=tmp_path / "file", device=CPU, console=QUIET)
    with pytest.raises(Interrupted):
        start(tiny_config(), resume=False)
    with pytest.raises(InputError, match="already holds a run"):
        start(tiny_config(), resume=False)
    with pytest.raises(InputError, match=r"another configuration \(optimizer\.lr\)"):
        start(tiny_config(optimizer={"lr": 1.0e-3}), resume=True)


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
        pytest.param("data", {"cameras": ["c2"]}, r"in two cameras \(cameras: c2\)", id="one camera"),
        pytest.param("optimizer", {"frozen_blocks": 3}, "frozen_blocks 3.*2 blocks", id="too many frozen"),
    ],
)
def test_settings_that_do_not_fit_the_data(
    people: Path, tmp_path: Path, section: str, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        Trainer(tiny_config(**{section: changes}), {"": read_dataset(people)}, tmp_path, CPU)


def test_unreadable_pictures_are_refused_by_name_or_left_out(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person of two pictures, of whom one is damaged; one without a readable picture; one that is measured on."""
    data = tmp_path / "people"
    shutil.copytree(people, data)
    for path in data.glob("0000_*_0[123].png"):
        path.unlink()
    damaged = ["0000_c1_00.png", "0002_c1_00.png", *(f"0005_c{c}_{n:02}.png" for c in (1, 2) for n in range(4))]
    for name in damaged:
        (data / name).write_bytes(b"no picture")

    with pytest.raises(InputError, match=r"0000_c1_00\.png: cannot be read.*9 more such files.*corrupt_images"):
        train(tiny_config(), data={"": data}, folder=tmp_path / "refused", device=CPU, console=QUIET)

    config = tiny_config(data={"corrupt_images": "skip"}, schedule={"epochs": 1})
    folder = tmp_path / "skipped"

    def interrupt(iteration: int) -> None:
        if iteration == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(config, data={"": data}, folder=folder, device=CPU, console=Console(), on_iteration=interrupt)
    shown = capsys.readouterr().out.replace("\n", "")
    assert all(f"{name}: cannot be read" in shown for name in damaged)
    # a run leaves out what it left out when it began: repaired files do not change its batches
    shutil.copy(people / "0002_c1_00.png", data / "0002_c1_00.png")
    trainer = train(config, data={"": data}, folder=folder, resume=True, device=CPU, console=QUIET)
    used = [
        crop.path.name for part in (trainer.parts.train, *trainer.parts.sets[0].draws[0]) for crop in part.crops
    ]
    assert not set(used) & set(damaged)
    assert {"0000_c2_00.png", "0002_c1_01.png"} <= set(used)
    assert trainer.model.config.num_classes == 31 - 8
    assert TrainingLog(folder).entries()[-1]["known_cameras"]["queries"] > 0


DAMAGED_DURING_THE_RUN = """
import sys
from pathlib import Path

import torch
from rich.console import Console

from pipeline.core.errors import InputError
from reid.datasets import read_dataset
from reid.training.trainer import Trainer
from tests.helpers.tiny_training import tiny_config

data, folder, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
trainer = Trainer(tiny_config(data={"workers": workers}), {"": read_dataset(data)}, folder, torch.device("cpu"))
for path in data.iterdir():
    path.write_bytes(b"no picture")
try:
    trainer.run(Console(quiet=True))
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_damaged_during_the_run_stops_it_in_one_line(people: Path, tmp_path: Path, workers: int) -> None:
    """Crops to learn from are decoded before, those that progress is measured on are read each time.

    In a process of its own: the loader's workers change how the whole process treats the end of a child.
    """
    data = tmp_path / "people"
    shutil.copytree(people, data)
    command = [sys.executable, "-c", DAMAGED_DURING_THE_RUN, data, tmp_path, str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    assert re.fullmatch(r"\S*people/00\d\d_c\d_0\d\.png: cannot be read as an image [^\n]*\n", result.stdout)


class _Overflow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] * float("inf")


def overflowing(loss: torch.Tensor) -> torch.Tensor:
    """The same loss with an infinite gradient."""
    return torch.Tensor(_Overflow.apply(loss))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_run_that_diverges_says_where_and_keeps_the_state_before(
    people: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def spoiled(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(len(labels))
        loss = batch_hard_triplet_loss(features, labels)
        if len(calls) != 4:
            return loss
        return loss * float("nan") if what == "loss" else overflowing(loss)

    monkeypatch.setattr("reid.training.trainer.batch_hard_triplet_loss", spoiled)
    message = rf"the {what} became (nan|inf) in batch 4 \(epoch 1\).*optimizer\.lr.*last\.pt holds the last state"
    with pytest.raises(RunError, match=message):
        train(
            tiny_config(optimizer={"clip_norm": None}),
            data={"": people},
            folder=tmp_path,
            device=CPU,
            console=QUIET,
        )
    state = load_state(tmp_path, CPU)
    assert state["step"] == 2
    assert all(torch.isfinite(x).all() for x in state["model"].values() if x.is_floating_point())


def test_steps_that_fp16_skips_are_counted_and_many_in_a_row_end_the_run(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two gradients are infinite, and from the sixth batch on all are."""

    calls = []

    def spoiled(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(len(labels))
        loss = batch_hard_triplet_loss(features, labels)
        return loss if 3 <= len(calls) <= 5 else overflowing(loss)

    monkeypatch.setattr("reid.training.trainer.batch_hard_triplet_loss", spoiled)
    monkeypatch.setattr("reid.training.trainer.MOST_STEPS_SKIPPED_IN_A_ROW", 3)
    monkeypatch.setattr("torch.amp.GradScaler", partial(torch.amp.GradScaler, init_scale=16.0))
    config = tiny_config(run={"precision": "fp16"})
    with pytest.raises(
        RunError, match=r"the gradient overflowed fp16 3 times in a row, last in batch 8 \(epoch 2\)"
    ):
        train(config, data={"": people}, folder=tmp_path, device=CPU, console=QUIET)
    entries = TrainingLog(tmp_path).entries()
    counted = [entry["skipped_steps"] for entry in entries if entry["kind"] == "iteration"]
    assert counted == [1, 2, 2, 2, 2, 3, 4]
    assert entries[5]["kind"] == "epoch"
    assert entries[5]["skipped_steps"] == 2
    assert load_state(tmp_path, CPU)["skipped"] == [3, 1]


def test_chosen_cameras_are_all_that_is_used(tmp_path: Path) -> None:
    data = draw_people(tmp_path / "people", 20)
    for path in sorted(data.glob("*_c2_*")):
        shutil.copy(path, data / path.name.replace("_c2_", "_c3_"))
    config = tiny_config(data={"cameras": ["c3", "c1"]})
    trainer = Trainer(config, {"": read_dataset(data)}, tmp_path, CPU)
    assert trainer.cameras == ("c1", "c3")
    assert trainer.model.config.cameras == 2
    query, gallery = trainer.parts.sets[0].draws[0]
    assert (query.cameras, gallery.cameras) == (("c1", "c3"), ("c1", "c3"))
    with pytest.raises(InputError, match=r"names c7, but the training part's cameras are c1, c2, c3"):
        Trainer(tiny_config(data={"cameras": ["c1", "c7"]}), {"": read_dataset(data)}, tmp_path, CPU)


def write_veri776(source: Path, root: Path) -> Path:
    """The drawn people as vehicles: 24 to train on, 8 to test; the camera decides the viewpoint, c2_03 has none."""
    keypoints: dict[str, list[str]] = {"train": [], "test": []}
    for path in sorted(source.iterdir()):
        person, camera, number = path.stem.split("_")
        part = "train" if int(person) < 24 else "test"
        folders = ["image_train"] if part == "train" else ["image_query", "image_test"]
        for folder in folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / folder / path.name)
        if (camera, number) != ("c2", "03"):
            keypoints[part].append(f"{folders[0]}/{path.name} 1 2 {int(camera[1]) + int(number) % 2}\n")
    for part, lines in keypoints.items():
        (root / f"keypoint_{part}.txt").write_text("".join(lines))
    return root


@pytest.mark.parametrize(
    ("camera", "view", "cameras", "views", "rows"),
    [
        (True, True, ("c1", "c2"), ("v1", "v2", "v3"), 2 * 3 + 1),
        (True, False, ("c1", "c2"), (), 2 + 1),
        (False, True, (), ("v1", "v2", "v3"), 3),
        (False, False, (), (), 0),
    ],
)
def test_side_information_of_cameras_and_views(
    people: Path,
    tmp_path: Path,
    camera: bool,
    view: bool,
    cameras: tuple[str, ...],
    views: tuple[str, ...],
    rows: int,
) -> None:
    data = write_veri776(people, tmp_path / "veri")
    config = tiny_config(
        model={"camera_embedding": camera, "view_embedding": view},
        data={"development_ids": 0, "layout": "veri776"},
        schedule={"epochs": 1},
    )
    trainer = train(config, data={"": data}, folder=tmp_path / "run", device=CPU, console=QUIET)
    loaded = load_checkpoint(tmp_path / "run" / CHECKPOINT_NAME)
    assert (loaded.camera_names, loaded.view_names) == (cameras, views)
    assert loaded.model.config.sie_rows == rows
    if rows:
        table = trainer.model.base.sie_embed
        begun = Trainer(config, {"": read_dataset(data)}, tmp_path, CPU).model.base.sie_embed
        # of what occurs every row was trained; the first camera never shows the third view
        trained = [row for row in range(rows) if not (camera and view and row == 2)]
        moved = (table - begun).abs().amax((1, 2)) > 1e-5
        assert moved.nonzero().flatten().tolist() == trained
    if views:
        query = trainer.parts.sets[0].draws[0][0]
        options: dict[str, Any] = {"cameras": cameras, "device": CPU}
        with_views = extract_features(loaded.model, query, trainer._evaluation_transform, views=views, **options)
        without = extract_features(loaded.model, query, trainer._evaluation_transform, **options)
        differs = np.abs(with_views.features - without.features).max(1) > 1e-6
        assert differs.tolist() == [crop.view is not None for crop in query.crops]


def test_a_view_embedding_needs_views(people: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two viewpoints, but the data set has 0"):
        Trainer(tiny_config(model={"view_embedding": True}), {"": read_dataset(people)}, tmp_path, CPU)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_follows_fp32(people: Path, tmp_path: Path, precision: str) -> None:
    losses = {}
    for name in ("fp32", precision):
        config = tiny_config(run={"precision": name}, schedule={"epochs": 1}, optimizer={"clip_norm": None})
        trainer = train(config, data={"": people}, folder=tmp_path / name, device=CPU, console=QUIET)
        entries = TrainingLog(tmp_path / name).entries()
        losses[name] = [entry["loss"] for entry in entries if entry["kind"] == "iteration"]
        assert all(p.dtype == torch.float32 for p in trainer.model.parameters())
    assert losses[precision] != losses["fp32"]
    if precision == "bf16":
        assert losses[precision] == pytest.approx(losses["fp32"], rel=0.05)
    else:  # the first batches find the scale: their infinite gradients are passed over
        assert losses[precision][0] == pytest.approx(losses["fp32"][0], rel=0.01)
        assert losses[precision][-1] < 0.9 * losses[precision][0]
        assert load_state(tmp_path / precision, CPU)["scaler"]["scale"] < 65536


def test_the_moving_average_is_what_is_kept(people: Path, tmp_path: Path) -> None:
    config = tiny_config(run={"ema_decay": 0.9}, schedule={"epochs": 1})
    trainer = train(config, data={"": people}, folder=tmp_path, device=CPU, console=QUIET)
    kept = load_checkpoint(tmp_path / CHECKPOINT_NAME).model.state_dict()
    last = trainer.model.state_dict()
    begun = Trainer(config, {"": read_dataset(people)}, tmp_path, CPU).model.state_dict()
    name = "base.blocks.1.mlp.fc1.weight"
    assert (kept[name] - begun[name]).norm() < 0.7 * (last[name] - begun[name]).norm()
    assert kept["bottleneck.running_mean"].equal(last["bottleneck.running_mean"])


def test_learning_rates_in_the_log_are_stepped_by_epoch(people: Path, tmp_path: Path) -> None:
    """4 epochs, 2 of warm-up: 0.01 b + 1 / 2 * 0.99 b at first, then m + (b - m) / 2 * (1 + cos(pi e / 4))."""
    config = tiny_config(
        optimizer={"name": "sgd", "lr": 0.008, "bias_lr_factor": 1.0},
        schedule={"epochs": 4, "warmup_epochs": 2, "step": "epoch"},
        run={"evaluate_every_epochs": 4},
    )
    train(config, data={"": people}, folder=tmp_path, device=CPU, console=QUIET)
    rates = [(e["epoch"], e["lr"]) for e in TrainingLog(tmp_path).entries() if e["kind"] == "iteration"]
    by_epoch = {epoch: {lr for e, lr in rates if e == epoch} for epoch in range(1, 5)}
    assert all(len(found) == 1 for found in by_epoch.values())
    m = 1.6e-5
    expected = [0.00404, m + 0.5 * (0.008 - m), m + 0.5 * (0.008 - m) * (1 - 0.5**0.5), m]
    assert [found.pop() for found in by_epoch.values()] == pytest.approx(expected, rel=1e-6)


def test_settings_on_the_command_line(people: Path, tmp_path: Path) -> None:
    config_path = tmp_path / "tiny.yaml"
    config_path.write_text(yaml.safe_dump(tiny_values(schedule={"epochs": 1, "warmup_epochs": 0.5})))
    arguments = ["train", "--config", str(config_path), "--data", str(people), "--device", "cpu"]
    runner = CliRunner()
    result = runner.invoke(app, [*arguments, "--output", str(tmp_path / "run"), "--set", "optimizer.lr=x"])
    assert isinstance(result.exception, InputError)
    assert "with --set: optimizer.lr" in str(result.exception)
    settings = ["--set", "model.jigsaw=true", "--set", "model.image_size_hw=[64, 32]"]
    result = runner.invoke(app, [*arguments, "--output", str(tmp_path / "run"), *settings])
    assert result.exit_code == 0, result.output
    config = load_checkpoint(tmp_path / "run" / CHECKPOINT_NAME).model.config
    assert (config.jpm, config.image_size) == (True, (64, 32))


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
