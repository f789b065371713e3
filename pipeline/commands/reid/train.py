"""`mtmc reid train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import overrides_of
from pipeline.commands.reid.arguments import DeviceOption, named_folders
from reid.device import choose_device
from reid.training.config import load_training_config
from reid.training.distributed import joined_processes
from reid.training.teacher import parse_teacher
from reid.training.train import train as run_training


def train(
    config: Annotated[Path, typer.Option(help="YAML file, such as configs/reid/vit_small_128x64.yaml.")],
    data: Annotated[
        list[str],
        typer.Option(
            help="Folder of crops named PPPP_cC_KK.jpg, or a data set in its own layout; NAME=FOLDER, repeated, "
            "for each of the configuration's data.sets.",
            metavar="[NAME=]FOLDER",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for checkpoint, log and plot.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", help="One setting of the configuration, such as model.jigsaw=true.", metavar="KEY=VALUE"
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Weights to start from: a checkpoint of this project or of the authors of TransReID, a timm, DeiT "
            "or DINO ViT, or timm:NAME for one that timm downloads.",
            metavar="FILE",
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Network to learn from besides the identities (repeatable): a checkpoint of this project, or an "
            "OpenVINO or ONNX network with its INPUT, by default bgr255.",
            metavar="FILE[,INPUT]",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --output.")] = False,
    device: DeviceOption = "auto",
) -> None:
    """Train a model; --resume continues a run that was stopped, or killed at any moment.

    Example:

        mtmc reid train --config configs/reid/vit_small_128x64.yaml --data crops --output runs/reid
        --init timm:vit_small_patch16_224.dino --set schedule.epochs=20

    On several GPUs: torchrun --nproc-per-node 4 -m reid train ... (the four processes then share the same batch).
    """
    with joined_processes(choose_device(device)) as (processes, own_device):
        run_training(
            load_training_config(config, overrides_of(settings)),
            data=named_folders(data),
            folder=output,
            init=init,
            teachers=[parse_teacher(text) for text in teacher or ()],
            resume=resume,
            device=own_device,
            console=Console(quiet=not processes.is_first, markup=False),
            processes=processes,
        )
