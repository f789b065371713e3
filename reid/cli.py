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
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.datasets import read_dataset
from reid.device import choose_device
from reid.features import evaluate_model
from reid.models.loading import load_transreid
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


@app.command()
def strip(
    source: Annotated[Path, typer.Argument(help="Checkpoint of a training run.")],
    output: Annotated[Path, typer.Argument(help="Checkpoint to write (.safetensors).")],
) -> None:
    """Keep of a trained checkpoint what inference uses, in half precision: the file to give to others."""
    loaded = load_checkpoint(source)
    save_checkpoint(
        output,
        loaded.model,
        camera_names=loaded.camera_names,
        view_names=loaded.view_names,
        input_mean=loaded.input_mean,
        input_std=loaded.input_std,
        card=loaded.card,
        dtype=torch.float16,
        inference_only=True,
    )
    print(f"wrote {output}, {output.stat().st_size / 2**20:.1f} MiB")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="State dict of the official TransReID code (.pth).")],
    output: Annotated[Path, typer.Argument(help="Checkpoint of this project to write (.safetensors).")],
    cameras: Annotated[
        str | None, typer.Option(help="Names for the rows of its camera table, in order, as c1,c2,c3.")
    ] = None,
    image_size: Annotated[str | None, typer.Option(help="Input height x width, as 256x128.")] = None,
    stride: Annotated[int | None, typer.Option(help="Step between patches in pixels.")] = None,
    views: Annotated[int | None, typer.Option(help="Number of viewpoints in its side information.")] = None,
    shift: Annotated[int, typer.Option(help="SHIFT_NUM of its configuration.")] = 5,
) -> None:
    """Turn an official TransReID state dict into a checkpoint that the pipeline loads.

    Architecture, image size and stride are read from the tensors' shapes; where shapes leave a choice, the
    message lists the candidates.
    """
    names = tuple(cameras.split(",")) if cameras else ()
    model = load_transreid(
        source,
        image_size=None if image_size is None else _size_hw(image_size),
        stride=stride,
        cameras=len(names) or None,
        views=views,
        shift=shift,
    )
    for line in model.loading_report:
        print(line)
    rows = model.config.cameras
    save_checkpoint(output, model, camera_names=names or [f"c{row + 1}" for row in range(rows)])
    print(f"wrote {output}")


def _size_hw(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise InputError(f"--image-size {text}: expected height x width in pixels, such as 256x128")
    return int(height), int(width)


def main() -> None:
    """Run the command line; what a user can mend becomes one line and exit code 2."""
    try:
        app(prog_name="python -m reid")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
