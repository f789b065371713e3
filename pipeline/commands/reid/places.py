"""`mtmc reid places`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands.arguments import overrides_of
from pipeline.commands.reid.arguments import DeviceOption, named_folders
from pipeline.core.errors import InputError
from pipeline.files.json_file import write_json
from reid.checkpoints import load_checkpoint
from reid.datasets import CropSet, read_dataset
from reid.device import choose_device
from reid.distances import Float32Array
from reid.evaluation.features import extract_features
from reid.evaluation.peers import network_features, parse_peer
from reid.evaluation.retrieval import LabelledFeatures
from reid.training.config import load_training_config
from reid.training.data import set_configs
from reid.training.places import PlaceFigures, crops_of_place, place_figures, places, without_place
from reid.training.start import is_own_checkpoint
from reid.training.state import STATE_NAME
from reid.training.teacher import parse_teacher
from reid.training.train import train
from reid.training.trainer import CHECKPOINT_NAME
from reid.training.transforms import EvaluationTransform

TRAINED = "trained without it"
START = "start"
MEAN = "mean"


def leave_places_out(
    config: Annotated[Path, typer.Option(help="YAML file of a training with data.sets.")],
    data: Annotated[
        list[str], typer.Option(help="Folder for each of data.sets, repeated.", metavar="NAME=FOLDER")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the runs, one per place, and places.json.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="One setting of the configuration.", metavar="KEY=VALUE"),
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="Weights to start from, as in `train`; a checkpoint is also measured.")
    ] = None,
    teacher: Annotated[
        list[str] | None, typer.Option(help="Network to learn from, as in `train`.", metavar="FILE[,INPUT]")
    ] = None,
    place: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out this one of data.sets; may be repeated. By default each in turn.", metavar="NAME"
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help="Another network, measured at the same places. Repeatable.", metavar="NAME=FILE,INPUT"),
    ] = None,
    people: Annotated[int, typer.Option(min=2, help="Measure with at most this many people of a place.")] = 300,
    device: DeviceOption = "auto",
) -> None:
    """For every place, train without it and measure on it: these figures help to choose a recipe.

    Crops are embedded with the row for unknown cameras. Stopped runs continue when the same command is given again.

    Example:

        mtmc reid places --config configs/reid/research_256x128.yaml --data cuhk03=crops --data cuhk01=crops
        --data market=market1501 --init start.safetensors --teacher start.safetensors --output runs/places
    """
    whole = load_training_config(config, overrides_of(settings))
    folders = named_folders(data)
    chosen = place or places(whole)
    unknown = [name for name in chosen if name not in places(whole)]
    if unknown:
        raise InputError(f"--place {unknown[0]}: the data sets with identities are {', '.join(places(whole))}")
    peers = [parse_peer(text) for text in peer or ()]
    teachers = [parse_teacher(text) for text in teacher or ()]
    where = choose_device(device)
    console = Console(markup=False)

    def embed(checkpoint: Path) -> Callable[[CropSet], Float32Array]:
        loaded = load_checkpoint(checkpoint)
        transform = EvaluationTransform(loaded.model.config.image_size, loaded.input_mean, loaded.input_std)
        model = loaded.model.to(where)
        return lambda crops: extract_features(model, crops, transform, cameras=None, device=where).features

    figures: dict[str, dict[str, PlaceFigures]] = {}
    for name in chosen:
        one = set_configs(whole.data)[name]
        if name not in folders:
            raise InputError(f"there is no --data {name}=FOLDER to measure on")
        crops = crops_of_place(read_dataset(folders[name], one.layout), one, people)
        recipe = without_place(whole, name)
        folder = output / f"without_{name}"
        console.print(f"training without {name}")
        train(
            recipe,
            data={other: folders[other] for other in set_configs(recipe.data) if other in folders},
            folder=folder,
            init=init,
            teachers=teachers,
            resume=(folder / STATE_NAME).exists(),
            teacher_folder=output,
            device=where,
            console=console,
        )
        networks = {TRAINED: embed(folder / CHECKPOINT_NAME)}
        if init is not None and is_own_checkpoint(init):
            networks[START] = embed(Path(init))
        for other in peers:
            networks[other.name] = lambda crops, other=other: network_features(  # type: ignore[misc]
                other.path, crops, other.input, description=other.name
            )
        for network, features_of in networks.items():
            labelled = LabelledFeatures(
                features_of(crops),
                np.array([crop.person_id for crop in crops.crops], np.int64),
                np.array([crop.camera for crop in crops.crops]),
            )
            figures.setdefault(network, {})[name] = place_figures(labelled)
        console.print(_table(figures))
        # Written after every place, so that figures are kept if the next one fails.
        write_json(
            output / "places.json",
            {
                network: {
                    name: of_place.to_dict() for name, of_place in [*of.items(), (MEAN, PlaceFigures.mean(of))]
                }
                for network, of in figures.items()
            },
        )


def _table(figures: dict[str, dict[str, PlaceFigures]]) -> Table:
    """Return a table with one row per network: rank-1 / mAP at each place, over all crops and between cameras."""
    table = Table(title="rank-1 / mAP in %, unknown cameras: all | between cameras", title_justify="left")
    table.add_column("network")
    names = list(next(iter(figures.values())))
    for name in [*names, MEAN]:
        table.add_column(name, justify="right")
    for network, of in figures.items():
        cells = [of[name] for name in names] + [PlaceFigures.mean(of)]
        table.add_row(
            network,
            *(
                f"{100 * x.rank1_all:.1f} / {100 * x.map_all:.1f} | "
                f"{100 * x.rank1_between:.1f} / {100 * x.map_between:.1f}"
                for x in cells
            ),
        )
    return table
