"""`python -m reid train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reid.commands.arguments import DataOption, DeviceOption
from reid.device import choose_device
from reid.training.config import load_training_config
from reid.training.train import train as run_training


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
