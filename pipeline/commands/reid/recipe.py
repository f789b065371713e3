"""`mtmc reid pack` and `recipe`: training on another machine, within a given time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from pipeline.commands.arguments import overrides_of
from pipeline.commands.reid.arguments import DeviceOption, named_folders
from pipeline.core.errors import InputError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.yaml_file import merge
from pipeline.files.json_file import write_json
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.datasets import CropSet, read_dataset
from reid.device import choose_device, processor_name
from reid.throughput import throughputs
from reid.training.config import TrainingConfig, load_training_config, parse_training_config
from reid.training.data import set_configs
from reid.training.packing import pack, unpack
from reid.training.state import STATE_NAME
from reid.training.teacher import Teacher, parse_teacher
from reid.training.train import train
from reid.training.trainer import CHECKPOINT_NAME

DEMO = PROJECT_ROOT / "configs" / "demo.yaml"
_TRIAL_BATCHES = 20
_RESERVE = 0.8  # share of the time that is planned, because the speed is measured only once and may change


def pack_crops(
    config: Annotated[
        list[Path], typer.Option(help="Training configuration whose data.sets are packed; repeatable.")
    ],
    data: Annotated[
        list[str], typer.Option(help="Folder for each of data.sets, repeated.", metavar="NAME=FOLDER")
    ],
    output: Annotated[Path, typer.Option(help="Folder for NAME.zip of each set.")],
    size: Annotated[str, typer.Option(help="Size to which crops are reduced, height x width.")] = "128x64",
    max_mb: Annotated[
        float, typer.Option(min=1, help="Limit for all files together; decides the JPEG quality.")
    ] = 40,
) -> None:
    """Reduce the size of data sets, to take them to another machine: `recipe` reads them there."""
    folders = named_folders(data)
    sets: dict[str, CropSet] = {}
    for path in config:
        for name, settings in set_configs(load_training_config(path).data).items():
            if name not in folders:
                raise InputError(f"{path}: data.sets names {name}, but there is no --data {name}=FOLDER")
            crops = read_dataset(folders[name], settings.layout).train
            sets[name] = crops if settings.cameras is None else crops.of_cameras(settings.cameras)
    height, _, width = size.partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise InputError(f"--size {size}: expected height x width in pixels, such as 128x64")
    quality = pack(sets, (int(height), int(width)), int(max_mb * 1e6), output)
    for name, crops in sets.items():
        megabytes = (output / f"{name}.zip").stat().st_size / 1e6
        print(f"{name}: {len(crops)} crops of {len(crops.person_ids)} people, {megabytes:.1f} MB")
    print(f"wrote {output}, quality {quality}")


def recipe(
    line: Annotated[
        list[str],
        typer.Option(help="A training to run: its name and configuration; repeatable.", metavar="NAME=YAML"),
    ],
    packed: Annotated[Path, typer.Option(help="Folder of `pack`.")],
    output: Annotated[Path, typer.Option(help="Folder for NAME.safetensors of each line and report.json.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for all trainings together.")] = 8,
    init: Annotated[str | None, typer.Option(help="Weights to start from, as in `train`.")] = None,
    teacher: Annotated[
        list[str] | None, typer.Option(help="Network to learn from, as in `train`.", metavar="FILE[,INPUT]")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="One setting of all configurations.", metavar="KEY=VALUE"),
    ] = None,
    batches: Annotated[
        str, typer.Option(help="Batch sizes to measure the embedder with.")
    ] = "1,2,4,8,16,32,64,128,256",
    scene: Annotated[
        Path, typer.Option(help="Configuration of the recordings on which a whole run of track is measured.")
    ] = DEMO,
    device: DeviceOption = "auto",
) -> None:
    """Train in a given time, then measure how many crops per second the results embed.

    Each training is first tried for some batches; then it runs for as many epochs as fit. The report says what cannot
    be measured on this machine.
    """
    where, console = choose_device(device), Console(markup=False)
    report: dict[str, Any] = {"processor": processor_name(where), "torch": torch.__version__, "lines": {}}
    teachers = [parse_teacher(text) for text in teacher or ()]
    budget_s = 60 * minutes / len(line)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for text in line:
            name, _, path = text.partition("=")
            began_s = time.monotonic()
            config = load_training_config(Path(path), overrides_of(settings))
            folders = {one: unpack(packed / f"{one}.zip", Path(scratch)) for one in set_configs(config.data)}
            folder = Path(scratch) / f"line_{name}"
            run = folder / "run"
            config, batch_s = _fitted(config, folders, run, init, teachers, where, budget_s, began_s)
            trainer = train(
                config,
                data=folders,
                folder=run,
                init=init,
                teachers=teachers,
                device=where,
                console=console,
            )
            loaded = load_checkpoint(run / CHECKPOINT_NAME)
            save_checkpoint(
                output / f"{name}.safetensors",
                loaded.model,
                camera_names=loaded.camera_names,
                view_names=loaded.view_names,
                input_mean=loaded.input_mean,
                input_std=loaded.input_std,
                card=loaded.card,
                dtype=torch.float16,
            )
            measured, left_out = throughputs(loaded, where, [int(size) for size in batches.split(",")], folder)
            report["lines"][name] = {
                "epochs": config.schedule.epochs,
                "batches": trainer.iterations,
                "batch_s": batch_s,
                "seconds": time.monotonic() - began_s,
                "precision": trainer.precision,
                "figures": [entry for entry in trainer.log.entries() if entry["kind"] == "epoch"][-1],
                "embedder": [asdict(one) for one in measured],
                "left_out": left_out,
            }
            write_json(output / "report.json", report)
            console.print(f"{name}: wrote {output / f'{name}.safetensors'}")
        report["whole_run"] = _whole_run(output / f"{name}.safetensors", scene, where, Path(scratch))
    write_json(output / "report.json", report)


class _Enough(Exception):
    """Ends a trial."""


def _fitted(
    config: TrainingConfig,
    folders: dict[str, Path],
    folder: Path,
    init: str | None,
    teachers: list[Teacher],
    device: torch.device,
    budget_s: float,
    began_s: float,
) -> tuple[TrainingConfig, float]:
    """Return the configuration with as many epochs as fit, and the seconds per batch, both from a trial of some
    batches.

    The files that the trial wrote stay in `folder`, where the training uses them again.
    """
    times: list[float] = []

    def enough(done: int) -> None:
        times.append(time.monotonic())
        if done == _TRIAL_BATCHES:
            raise _Enough

    with suppress(_Enough):
        train(
            config,
            data=folders,
            folder=folder,
            init=init,
            teachers=teachers,
            device=device,
            console=Console(quiet=True, markup=False),
            on_iteration=enough,
        )
    (folder / STATE_NAME).unlink()
    half = len(times) // 2  # the first batches are slower, because kernels are chosen
    batch_s = (times[-1] - times[half]) / max(len(times) - 1 - half, 1)
    left_s = _RESERVE * budget_s - (time.monotonic() - began_s)
    per_epoch = config.schedule.batches_per_epoch or _TRIAL_BATCHES
    epochs = max(1, int(left_s / (batch_s * per_epoch)))
    values = config.model_dump(mode="json")
    schedule = {
        "epochs": epochs,
        "batches_per_epoch": per_epoch,
        "warmup_epochs": min(config.schedule.warmup_epochs, epochs / 2),
    }
    fitted = merge(values, {"schedule": schedule, "run": {"evaluate_every_epochs": epochs}})
    return parse_training_config(fitted, source="the fitted configuration"), batch_s


def _whole_run(weights: Path, scene: Path, device: torch.device, folder: Path) -> dict[str, Any]:
    """Return the speed of the pipeline on a scene, as `mtmc benchmark speed` measures it. If that is not possible,
    "left_out" gives the reason."""
    missing = [name for name in ("ultralytics", "av") if find_spec(name) is None]
    if missing:
        return {"left_out": f"this machine lacks the packages {' and '.join(missing)}"}
    figures = folder / "speed.json"
    settings = [
        f"embedder.weights={weights.resolve()}",
        "embedder.site=null",
        *(f"{part}.device={device}" for part in ("detector", "embedder")),
    ]
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "benchmark", "speed", "--runs", "1"]
    command += ["--config", str(scene), "--json", str(figures)]
    command += [part for setting in settings for part in ("--set", setting)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        return {"left_out": f"mtmc benchmark speed failed: {(ended.stderr or ended.stdout).strip()[-300:]}"}
    measured: dict[str, Any] = json.loads(figures.read_text())
    return measured
