"""`python -m reid`: train a re-identification model, measure one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from pipeline.errors import InputError
from reid.checkpoints import load_checkpoint
from reid.datasets import read_dataset
from reid.features import evaluate_model
from reid.training.config import load_training_config
from reid.training.train import train as run_training
from reid.training.transforms import EvaluationTransform

app = typer.Typer(
    help="Train and measure re-identification models.", no_args_is_help=True, pretty_exceptions_enable=False
)

DataOption = Annotated[
    Path, typer.Option(help="Folder of crops named PPPP_cC_KK.jpg, or one in Market-1501's layout.")
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.")]


@app.command()
def train(
    config: Annotated[Path, typer.Option(help="YAML file, such as configs/reid/vit_small_128x64.yaml.")],
    data: DataOption,
    output: Annotated[Path, typer.Option(help="Folder for checkpoint, log and plot.")],
    init: Annotated[
        Path | None,
        typer.Option(help="Weights to start from: a checkpoint of this project, or a timm, DeiT or DINO ViT."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="OpenVINO network (.xml) whose similarities are learned beside the identities."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    device: DeviceOption = "auto",
) -> None:
    """Train a model; a run that was stopped goes on with --resume."""
    run_training(
        load_training_config(config),
        data=data,
        folder=output,
        init=init,
        teacher=teacher,
        resume=resume,
        device=choose_device(device),
        console=Console(),
    )


@app.command()
def evaluate(
    data: DataOption,
    checkpoint: Annotated[Path, typer.Option(help="A checkpoint of this project.")],
    unknown_cameras: Annotated[
        bool,
        typer.Option("--unknown-cameras", help="Treat every camera as one that the model never saw."),
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Crops at once.")] = 64,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure mAP, CMC and mINP: every query is searched among the crops of other cameras."""
    dataset = read_dataset(data)
    loaded = load_checkpoint(checkpoint)
    chosen = choose_device(device)
    transform = EvaluationTransform(loaded.model.config.image_size, loaded.input_mean, loaded.input_std)
    metrics = evaluate_model(
        loaded.model.to(chosen),
        dataset.query,
        dataset.gallery,
        transform,
        cameras=None if unknown_cameras else loaded.camera_names,
        device=chosen,
        batch_size=batch,
    ).to_dict()
    if as_json:
        print(json.dumps(metrics))
        return
    table = Table(title=f"{checkpoint.name} on {data}")
    for column in metrics:
        table.add_column(column.replace("_", " "), justify="right")
    table.add_row(*(f"{value:.1%}" if isinstance(value, float) else str(value) for value in metrics.values()))
    Console().print(table)


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU if there is one.

    Raises:
        InputError: torch does not know it or cannot use it here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        raise InputError(f"--device {name} cannot be used here ({str(error).splitlines()[0]})") from error
    return device


def main() -> None:
    """Run the command line; what a user can mend becomes one line and exit code 2."""
    try:
        app(prog_name="python -m reid")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
