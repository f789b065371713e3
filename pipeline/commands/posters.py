"""`mtmc benchmark posters`: a benchmark set with still pictures of people in its views."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import SetOption, overrides_of
from pipeline.core.errors import InputError


def posters(
    chosen: Annotated[Path, typer.Argument(help="Benchmark set (YAML) with fixed cameras.", metavar="SET")],
    people: Annotated[
        Path, typer.Option(help="Another set (YAML), whose people are put into the views.", metavar="SET")
    ],
    output: Annotated[Path, typer.Option(help="Folder for set.yaml and its files.", metavar="FOLDER")],
    settings: SetOption = None,
    count: Annotated[int, typer.Option(min=1, help="Pictures in each view.")] = 6,
    frames: Annotated[int | None, typer.Option(min=1, help="Use only this number of frames.")] = None,
    seed: Annotated[int, typer.Option(help="Chooses people and places.")] = 0,
) -> None:
    """Put still pictures of people into the recordings of a set: prints, people behind glass, and cut-out figures.

    They are at fixed places, behind everybody who walks there. The ground truth stays the same, so every box on them is
    a false positive.

    Example:

        mtmc benchmark posters configs/benchmark/tud_stadtmitte.yaml --people configs/benchmark/pets09.yaml \\
          --output posters && mtmc benchmark trackers posters/set.yaml
    """
    from pipeline.benchmark.benchmark_set import read_benchmark_set
    from pipeline.benchmark.posters import write_posters

    if (output / "set.yaml").exists():
        raise InputError(f"{output} already holds a set; choose another folder or remove it")
    path, placed = write_posters(
        read_benchmark_set(chosen, overrides_of(settings)),
        read_benchmark_set(people),
        output,
        count=count,
        frames=frames,
        seed=seed,
    )
    console = Console(markup=False)
    for camera_id, put in placed.items():
        kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(poster.kind for poster in put).items())
        console.print(f"{camera_id}: {len(put)} pictures ({kinds})")
    console.print(f"Wrote {path}")
