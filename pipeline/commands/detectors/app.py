"""`mtmc detectors`: builds data sets, fine-tunes a detector, evaluates one."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from detectors import evaluation, training
from detectors.averaging import average as average_checkpoints
from detectors.dataset import add_sequence
from detectors.pseudo_labels import PseudoLabelSettings, add_pseudo_labelled
from detectors.yolo_dataset import DATA_FILE, count_pictures
from pipeline.commands.detectors.export import export
from pipeline.commands.lazy import new_app

app = new_app(help="Build data sets for detectors, fine-tune a detector, evaluate one.")


@app.callback()
def options() -> None:
    """Build data sets for detectors, fine-tune a detector, evaluate one."""


_DEFAULTS = training.TrainingSettings()
_LABEL = PseudoLabelSettings()

DataOption = Annotated[Path, typer.Option(help="data.yaml of a data set in YOLO layout with one class.")]
WeightsOption = Annotated[str, typer.Option(help="A .pt checkpoint, or a name that Ultralytics downloads.")]
ClassOption = Annotated[str, typer.Option("--class", help="The class to keep and to detect.")]
SizeOption = Annotated[int, typer.Option(min=32, help="Longer side of the network's input, in pixels.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto uses a GPU if there is one.")]


@app.command()
def dataset(
    sequences: Annotated[
        list[Path],
        typer.Argument(
            help="MOTChallenge sequence folders, with gt/gt.txt, or videos NAME.mp4 beside NAME_gt.txt."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the data set; sequences are added to it if it exists.")],
    every: Annotated[int, typer.Option(min=1, help="Take every n-th frame.")] = 10,
    train_share: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the frames for training, the earliest ones; the rest is for validation."
        ),
    ] = 0.5,
    until: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out the frames after this share of the duration.")
    ] = 1.0,
    min_visibility: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Leave out people with a smaller visible share, if the ground truth states it.",
        ),
    ] = 0.25,
    class_name: ClassOption = "person",
) -> None:
    """Build a training set from sequences with ground truth.

    Example: `mtmc detectors dataset PETS09-S2L1 TUD-Campus --output data --every 10 --train-share 0.5`
    """
    table = Table("sequence", "split", "pictures", "people")
    for sequence in sequences:
        added = add_sequence(
            sequence,
            output,
            every=every,
            train_share=train_share,
            until=until,
            min_visibility=min_visibility,
            class_name=class_name,
        )
        for split, counts in added.items():
            table.add_row(sequence.name, split, str(counts.images), str(counts.boxes))
    Console(markup=False).print(table)
    print(output / DATA_FILE)


@app.command()
def pseudo_label(
    sources: Annotated[list[Path], typer.Argument(help="Recordings without ground truth: videos, folders, ...")],
    weights: WeightsOption,
    output: Annotated[Path, typer.Option(help="Folder of the data set; frames are added to its training part.")],
    image_size: Annotated[
        int, typer.Option(min=32, help="Longer side of the network's input, in pixels.")
    ] = _LABEL.image_size_px,
    augment: Annotated[
        bool, typer.Option(help="Detect at three scales, one of them mirrored, and merge the boxes.")
    ] = _LABEL.augment,
    confident: Annotated[
        float, typer.Option(min=0, max=1, help="Boxes with at least this confidence become labels.")
    ] = _LABEL.confident,
    doubtful: Annotated[
        float, typer.Option(min=0, max=1, help="Boxes between this confidence and --confident are greyed out.")
    ] = _LABEL.doubtful,
    every: Annotated[int, typer.Option(min=1, help="Take every n-th frame.")] = _LABEL.every,
    device: DeviceOption = _LABEL.device,
    class_name: ClassOption = _LABEL.class_name,
) -> None:
    """Label recordings with a large input size and several scales, and add them to a training set.

    Example: `mtmc detectors pseudo-label cam1.mp4 cam2.mp4 --weights yolo11n.pt --output data --every 30`
    """
    settings = PseudoLabelSettings(
        image_size_px=image_size,
        augment=augment,
        confident=confident,
        doubtful=doubtful,
        every=every,
        device=device,
        class_name=class_name,
    )
    table = Table("recording", "pictures", "people", "greyed out", "frames left out")
    for source in sources:
        added = add_pseudo_labelled(str(source), output, weights=weights, settings=settings)
        counts = (added.images, added.boxes, added.greyed, added.left_out)
        table.add_row(source.name, *map(str, counts))
    Console(markup=False).print(table)
    print(output / DATA_FILE)


@app.command()
def train(
    data: DataOption,
    weights: WeightsOption,
    output: Annotated[Path, typer.Option(help="Folder for the result and the records of the run.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training pictures.")] = _DEFAULTS.epochs,
    image_size: SizeOption = _DEFAULTS.image_size_px,
    batch: Annotated[int, typer.Option(min=1, help="Pictures per step.")] = _DEFAULTS.batch,
    learning_rate: Annotated[float, typer.Option(help="Learning rate at the start.")] = _DEFAULTS.learning_rate,
    freeze: Annotated[
        int, typer.Option(min=0, help="Number of first layers that are not trained.")
    ] = _DEFAULTS.freeze,
    mosaic: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pictures that are composed of four pictures.")
    ] = _DEFAULTS.mosaic,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load pictures.")] = _DEFAULTS.workers,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = _DEFAULTS.seed,
    device: DeviceOption = _DEFAULTS.device,
    class_name: ClassOption = "person",
) -> None:
    """Reduce a checkpoint to one class and fine-tune it; prints figures before and after if there are validation
    pictures.

    Example: `mtmc detectors train --data data/data.yaml --weights yolo11n.pt --output run --epochs 8`
    """
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
    result = training.train(data, weights, output, class_name=class_name, settings=settings)
    if count_pictures(data, "val"):
        tested = (weights, str(result))
        _print_scores({name: _measured([data], name, image_size, "val", device, class_name) for name in tested})
    print(result)


@app.command()
def average(
    weights: Annotated[list[str], typer.Argument(help=".pt checkpoints that were fine-tuned from the same one.")],
    output: Annotated[Path, typer.Option(help="The .pt file to write.")],
    image_size: SizeOption = _DEFAULTS.image_size_px,
) -> None:
    """Write the mean of several fine-tuned versions of one checkpoint.

    Example: `mtmc detectors average street/person_yolo11n.pt hall/person_yolo11n.pt --output person_yolo11n.pt`
    """
    average_checkpoints(weights, output, image_size_px=image_size)
    print(output)


@app.command()
def evaluate(
    data: Annotated[list[Path], typer.Option(help="data.yaml of a data set; may be given several times.")],
    weights: Annotated[
        list[str], typer.Option(help="A .pt checkpoint or an export of one; may be given several times.")
    ],
    image_size: SizeOption = _DEFAULTS.image_size_px,
    split: Annotated[str, typer.Option(help="train or val.")] = "val",
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    device: DeviceOption = _DEFAULTS.device,
    class_name: ClassOption = "person",
) -> None:
    """Measure the average precision of detectors, for each sequence and over all pictures.

    Example: `mtmc detectors evaluate --data data/data.yaml --weights yolo11n.pt --weights person_yolo11n.pt`
    """
    scores = {name: _measured(data, name, image_size, split, device, class_name) for name in weights}
    _print_scores(scores)
    if json_file is not None:
        rows = {name: {key: _json(value) for key, value in each.items()} for name, each in scores.items()}
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(rows, indent=2) + "\n")


def _measured(
    data: list[Path], weights: str, image_size: int, split: str, device: str, class_name: str
) -> dict[str, evaluation.DetectionScores]:
    return evaluation.evaluate(
        data, weights, class_name=class_name, image_size_px=image_size, device=device, split=split
    )


app.command()(export)


def _print_scores(scores: dict[str, dict[str, evaluation.DetectionScores]]) -> None:
    """Print one row per sequence and weights; the rows of a sequence follow each other."""
    names = (Column(header, overflow="fold") for header in ("sequence", "weights"))
    figures = (Column(header, no_wrap=True) for header in ("pictures", "objects", "AP50", "AP", "P", "R"))
    table = Table(*names, *figures, caption="P and R: precision and recall where their harmonic mean is best")
    for sequence in next(iter(scores.values())):
        for name, by_sequence in scores.items():
            row = by_sequence[sequence]
            told = ["-" if math.isnan(v) else f"{v:.3f}" for v in (row.ap50, row.ap, row.precision, row.recall)]
            table.add_row(sequence, name, str(row.images), str(row.objects), *told)
    Console(markup=False).print(table)


def _json(scores: evaluation.DetectionScores) -> dict[str, float | int | None]:
    """Return the figures by name, with None for NaN, which JSON does not have."""
    return {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in asdict(scores).items()}
