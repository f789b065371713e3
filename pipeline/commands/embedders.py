"""`mtmc benchmark embedders`: compares several networks on the same boxes, with the same tracker and linker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.arguments import SetOption
from pipeline.commands.trackers import measure_sets
from pipeline.config.calibration import Calibration
from pipeline.core.errors import InputError
from pipeline.core.export_cache import cache_folder
from pipeline.core.network_input import NetworkInput

if TYPE_CHECKING:
    from pipeline.benchmark.benchmark_set import BenchmarkSet
    from pipeline.benchmark.report import Contestant


def embedders(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML); by default those of configs/benchmark.", metavar="SET..."),
    ] = None,
    embedder: Annotated[
        list[str] | None,
        typer.Option(
            help="A checkpoint, an export, or a third-party network with its INPUT (as embedder.input). Repeatable.",
            metavar="NAME=FILE[,INPUT]",
        ),
    ] = None,
    settings: SetOption = None,
    perturbations: Annotated[
        int, typer.Option(min=0, help="Number of additional measurements on boxes with small random errors.")
    ] = 0,
    every: Annotated[int, typer.Option(min=1, help="Use only every n-th frame.")] = 1,
    cache: Annotated[Path | None, typer.Option(help="Folder for saved detections and embeddings.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.", metavar="FILE")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Compare embedding networks by the resulting identities.

    People are detected once for each set. Every network embeds the same boxes, and the same tracker and linker use the
    match limits calibrated for this network (`mtmc reid calibrate`). Site files are not used.

    Example:

        mtmc benchmark embedders --embedder ours=weights.safetensors --embedder intel=network.xml,bgr255
    """
    from pipeline.benchmark.comparison import compare
    from pipeline.benchmark.saved_run import computed_by, saved_boxes
    from reid.evaluation.peers import named_network

    networks: dict[str, tuple[Path, NetworkInput | None]] = {}
    for text in embedder or ():
        name, path, network_input = named_network("--embedder", text)
        if name in networks:
            raise InputError(f"--embedder: {name!r} is named twice")
        networks[name] = path, network_input
    if not networks:
        raise InputError("give the networks to compare, as --embedder NAME=FILE or --embedder NAME=FILE,INPUT")
    for path, network_input in networks.values():
        _check_calibrated(path, network_input)
    kept = cache or cache_folder() / "benchmark"

    def measure(chosen: BenchmarkSet, on_step: Callable[[str], None]) -> list[Contestant]:
        if chosen.detections is not None:
            raise InputError(f"{chosen.name} has no pictures, so no network can embed its people")
        on_step(f"{chosen.name}: detecting")
        boxes = saved_boxes(chosen, kept)
        sentences = [f"{model}: {text}" for model, text in computed_by(boxes).items()]
        found: list[Contestant] = []
        for name, (path, network_input) in networks.items():
            update = {"weights": str(path), "input": network_input, "site": None}
            settings_of = chosen.config.embedder.model_copy(update=update)
            rows = compare(
                replace(chosen, config=chosen.config.model_copy(update={"embedder": settings_of})),
                [],
                perturbations=perturbations,
                cache=kept,
                every=every,
                name=name,
                boxes=boxes,
                on_step=on_step,
            )
            found += [replace(row, computed_by=[*row.computed_by, *sentences]) for row in rows]
        return found

    measure_sets(sets, measure, settings=settings, every=every, markdown=markdown, json_file=json_file)


def _check_calibrated(path: Path, network_input: NetworkInput | None) -> None:
    """Raise InputError for a network without calibrated match limits: guessed limits would distort its result."""
    from reid.embedding_model import embedding_card
    from reid.foreign_network import calibrate_command

    if Calibration.from_card(embedding_card(path, network_input)) is None:
        raise InputError(
            f"{path} has no calibration, and guessed match limits would distort the comparison: "
            f"{calibrate_command(path, network_input)}"
        )
