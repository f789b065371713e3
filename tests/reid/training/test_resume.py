"""A run that was stopped at any moment goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from pipeline.core.errors import InputError
from pipeline.core.paths import PROJECT_ROOT
from reid.checkpoints import load_checkpoint
from reid.training.state import load_state, save_state
from reid.training.train import train
from reid.training.trainer import CHECKPOINT_NAME
from tests.helpers.tiny_training import draw_people, tiny_config, tiny_values, without_times

ROOT = PROJECT_ROOT
CPU = torch.device("cpu")
QUIET = Console(quiet=True)
SETTINGS: dict[str, dict[str, Any]] = {"run": {"ema_decay": 0.9}}


class Interrupted(Exception):
    """Stands for a kill between two batches."""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def whole(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uninterrupted run: two epochs of five batches, a state every second batch and after each epoch."""
    folder = tmp_path_factory.mktemp("whole")
    train(tiny_config(**SETTINGS), data={"": people}, folder=folder, device=CPU, console=QUIET)
    return folder


def assert_same_run(folder: Path, whole: Path) -> None:
    """Bit for bit the same weights, moving average, optimiser and log."""
    state, expected = load_state(folder, CPU), load_state(whole, CPU)
    for part in ("model", "ema"):
        for name, tensor in expected[part].items():
            assert torch.equal(state[part][name], tensor), name
    for row, moments in expected["optimizer"]["state"].items():
        assert all(torch.equal(state["optimizer"]["state"][row][key], value) for key, value in moments.items())
    assert without_times(folder) == without_times(whole)
    assert [entry["kind"] for entry in without_times(whole)] == 2 * [*5 * ["iteration"], "epoch"]


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_stopped_between_batches(people: Path, whole: Path, tmp_path: Path, stop_after: int) -> None:
    """1 is before the first state of its own, 3 loses a batch, 5 ends before the epoch is evaluated.

    The folder holds the log of an older run that came to no state.
    """
    (tmp_path / "log.jsonl").write_text('{"kind": "iteration", "iteration": 1, "loss": 9.0}\n')

    def stop(iteration: int) -> None:
        if iteration == stop_after:
            raise Interrupted

    config = tiny_config(**SETTINGS)
    with pytest.raises(Interrupted):
        train(config, data={"": people}, folder=tmp_path, device=CPU, console=QUIET, on_iteration=stop)
    (tmp_path / ".last.pt.0123abcd.part").write_bytes(b"half a state")
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"kind": "iter')
    train(config, data={"": people}, folder=tmp_path, resume=True, device=CPU, console=QUIET)
    assert_same_run(tmp_path, whole)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


def test_killed_at_a_random_moment(people: Path, whole: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(tiny_values(**SETTINGS)))
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "reid", "train", "--config", config, "--data", people, "--output", folder]
    log = folder / "log.jsonl"
    lines, delay_s = random.randint(1, 8), random.uniform(0, 0.2)
    with subprocess.Popen([*command, "--device", "cpu"], env=environment(), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= lines):
            time.sleep(0.002)
        time.sleep(delay_s)
        process.kill()
    assert process.returncode in (-signal.SIGKILL, 0)  # 0: the run was over before
    train(tiny_config(**SETTINGS), data={"": people}, folder=folder, resume=True, device=CPU, console=QUIET)
    assert_same_run(folder, whole)


TWO_PROCESSES: dict[str, dict[str, Any]] = {
    "model": {"jigsaw": True, "image_size_hw": [64, 32], "drop_path": 0.0},
    "run": {"ema_decay": 0.9},
}


@pytest.fixture(scope="module")
def killed(people: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[int]]]:
    """Folder of the runs state and two, and the exit codes of their processes; see the tests that use them."""
    root = tmp_path_factory.mktemp("killed")

    def run(name: str, settings: dict[str, dict[str, Any]], after_batch: int, in_state: int, **more: str) -> Any:
        return {
            "config": tiny_values(**settings),
            "data": str(people),
            "folder": str(root / name),
            "environment": more,
            "after_batch": after_batch,
            "in_state": in_state,
        }

    def both(after_batch: int) -> list[Any]:
        """What torchrun would start."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [
            run("two", TWO_PROCESSES, after_batch, 0, RANK=rank, LOCAL_RANK=rank, **common) for rank in ("0", "1")
        ]

    stages = [[run("state", SETTINGS, 0, 3)], both(7), both(0)]
    command = [sys.executable, "-m", "tests.helpers.interrupted_training", json.dumps(stages)]
    result = subprocess.run(command, env=environment(), cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=300)
    return root, json.loads(result.stdout)


def test_killed_while_the_state_is_written(
    people: Path, whole: Path, killed: tuple[Path, list[list[int]]]
) -> None:
    """In the middle of the third state, after batch 4: the second, after batch 2, is still whole."""
    folder = killed[0] / "state"
    assert killed[1][0] == [-signal.SIGKILL]
    (part,) = folder.glob(".last.pt.*.part")
    assert part.stat().st_size < (folder / "last.pt").stat().st_size
    assert load_state(folder, CPU)["step"] == 2
    train(tiny_config(**SETTINGS), data={"": people}, folder=folder, resume=True, device=CPU, console=QUIET)
    assert_same_run(folder, whole)


def test_two_processes_train_as_one_and_resume(
    people: Path, killed: tuple[Path, list[list[int]]], tmp_path: Path
) -> None:
    """Each sees half of every batch, yet losses, batch normalisation statistics and weights are those of one process.

    Both are killed after batch 7 and begin again after batch 6. No drop path: its random numbers are a process' own.
    """
    one, two = tmp_path, killed[0] / "two"
    assert killed[1][1:] == [[-signal.SIGKILL, -signal.SIGKILL], [0, 0]]
    train(tiny_config(**TWO_PROCESSES), data={"": people}, folder=one, device=CPU, console=QUIET)
    expected, found = without_times(one), without_times(two)
    assert len(found) == len(expected) == 12
    for ours, theirs in zip(found, expected, strict=True):
        for key in ("kind", "iteration", "epoch", "lr"):
            assert ours.get(key) == theirs.get(key)
        for key in ("loss", "identity_loss", "metric_loss", "accuracy"):
            assert ours[key] == pytest.approx(theirs[key], abs=1e-4), (key, theirs["iteration"])
    for way in ("known_cameras", "unknown_cameras"):
        assert found[-1][way]["mAP"] == pytest.approx(expected[-1][way]["mAP"], abs=0.01)
    our_weights, their_weights = (load_checkpoint(run / CHECKPOINT_NAME).model.state_dict() for run in (two, one))
    for name in ("bottleneck.running_var", "bottleneck_4.running_mean", "classifier_2.weight"):
        assert torch.allclose(our_weights[name], their_weights[name], rtol=1e-2, atol=2e-3), name
    # AdamW divides by the size of gradients, so that rounding shows where they are nearly zero
    name = "base.blocks.0.mlp.fc1.weight"
    assert (our_weights[name] - their_weights[name]).abs().mean() < 1e-4


def test_resuming_needs_the_same_crops(people: Path, whole: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted(people.iterdir())[1:]:
        (fewer / path.name).symlink_to(path)
    with pytest.raises(InputError, match="belongs to a run on other crops: the 191 training crops"):
        train(tiny_config(**SETTINGS), data={"": fewer}, folder=whole, resume=True, device=CPU, console=QUIET)


def test_resuming_needs_the_same_precision(people: Path, whole: Path, tmp_path: Path) -> None:
    """`auto` is another format on another device."""
    shutil.copytree(whole, tmp_path / "run")
    state = load_state(tmp_path / "run", CPU)
    assert state["precision"] == "fp32"
    save_state(tmp_path / "run", {**state, "precision": "fp16"})
    with pytest.raises(
        InputError, match=r"belongs to a run in fp16, but run\.precision: auto is fp32 on this device"
    ):
        train(
            tiny_config(**SETTINGS),
            data={"": people},
            folder=tmp_path / "run",
            resume=True,
            device=CPU,
            console=QUIET,
        )
