"""`python -m reid evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reid.checkpoints import load_checkpoint
from reid.commands.arguments import DataOption, DeviceOption
from reid.datasets import read_dataset
from reid.device import choose_device
from reid.features import evaluate_model
from reid.training.transforms import EvaluationTransform


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
