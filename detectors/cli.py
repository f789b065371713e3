"""`python -m detectors`: build a data set, fine-tune a detector, measure one."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from detectors import training
from detectors.dataset import DATA_FILE, add_sequence
from pipeline.errors import InputError

app = typer.Typer(
    help="Build data sets for detectors, fine-tune one, measure one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_DEFAULTS = training.TrainingSettings()

DataOption = Annotated[Path, typer.Option(help="data.yaml of a data set in YOLO layout with one class.")]
WeightsOption = Annotated[str, typer.Option(help="A .pt checkpoint, or a name that Ultralytics downloads.")]
ClassOption = Annotated[str, typer.Option("--class", help="The class to keep and to find.")]
SizeOption = Annotated[int, typer.Option(min=32, help="Longer side of the network's input, in pixels.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.")]


@app.command()
def dataset(
    sequences: Annotated[list[Path], typer.Argument(help="MOTChallenge sequence folders, with gt/gt.txt.")],
    output: Annotated[Path, typer.Option(help="Folder of the data set; sequences are added to what is there.")],
    every: Annotated[int, typer.Option(min=1, help="Take every how many-th frame.")] = 10,
    train_share: Annotated[
        float, typer.Option(min=0, max=1, help="The first part in time, for training; the rest is for validation.")
    ] = 0.5,
    min_visibility: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out people of whom less can be seen, where it is known.")
    ] = 0.25,
    class_name: ClassOption = "person",
) -> None:
    """Build a training set from sequences with ground truth."""
    table = Table("sequence", "split", "pictures", "people")
    for sequence in sequences:
        added = add_sequence(
            sequence,
            output,
            every=every,
            train_share=train_share,
            min_visibility=min_visibility,
            class_name=class_name,
        )
        for split, counts in added.items():
            table.add_row(sequence.name, split, str(counts.images), str(counts.boxes))
    Console().print(table)
    print(output / DATA_FILE)


@app.command()
def train(
    data: DataOption,
    weights: WeightsOption,
    output: Annotated[Path, typer.Option(help="Folder for the result and the records of the run.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training pictures.")] = _DEFAULTS.epochs,
    image_size: SizeOption = _DEFAULTS.image_size_px,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = _DEFAULTS.batch,
    learning_rate: Annotated[float, typer.Option(help="At the start.")] = _DEFAULTS.learning_rate,
    freeze: Annotated[int, typer.Option(min=0, help="So many of the first layers stay.")] = _DEFAULTS.freeze,
    mosaic: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pictures put together from four.")
    ] = _DEFAULTS.mosaic,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load pictures.")] = _DEFAULTS.workers,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = _DEFAULTS.seed,
    device: DeviceOption = _DEFAULTS.device,
    class_name: ClassOption = "person",
) -> None:
    """Reduce a checkpoint to one class and fine-tune it; with figures before and after."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    settings = training.TrainingSettings(
        epochs=epochs,
        image_size_px=image_size,
        batch=batch,
        learning_rate=learning_rate,
        freeze=freeze,
        mosaic=mosaic,
        device=device,
        workers=workers,
        seed=seed,
    )
    measure = {"class_name": class_name, "image_size_px": image_size, "device": device}
    before = training.evaluate(data, weights, **measure)  # type: ignore[arg-type]
    result = training.train(data, weights, output, class_name=class_name, settings=settings)
    after = training.evaluate(data, str(result), **measure)  # type: ignore[arg-type]
    _print_scores({weights: before, str(result): after})


@app.command()
def evaluate(
    data: DataOption,
    weights: WeightsOption,
    image_size: SizeOption = _DEFAULTS.image_size_px,
    split: Annotated[str, typer.Option(help="train or val.")] = "val",
    device: DeviceOption = _DEFAULTS.device,
    class_name: ClassOption = "person",
) -> None:
    """Measure the average precision of a checkpoint."""
    scores = training.evaluate(
        data, weights, class_name=class_name, image_size_px=image_size, device=device, split=split
    )
    _print_scores({weights: scores})


def _print_scores(rows: dict[str, training.DetectionScores]) -> None:
    table = Table("weights", "AP50", "AP", "precision", "recall")
    for name, scores in rows.items():
        table.add_row(
            name, f"{scores.ap50:.3f}", f"{scores.ap:.3f}", f"{scores.precision:.3f}", f"{scores.recall:.3f}"
        )
    Console().print(table)


def main() -> None:
    """Run the command line; what a user can mend becomes one line and exit code 2."""
    try:
        app(prog_name="python -m detectors")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
