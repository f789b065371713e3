"""`mtmc benchmark association` and `mtmc benchmark second-pass`: time of tracking and linking at large sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.benchmark.association_load import measure as measure_load
from pipeline.benchmark.linking_load import measure_linking
from pipeline.benchmark.simulated_site import SimulatedSite
from pipeline.benchmark.ultralytics_trackers import bytetrack
from pipeline.commands.arguments import ConfigOption, SetOption, overrides_of
from pipeline.config.config import Config, load_config
from pipeline.core.errors import InputError
from pipeline.files.json_file import write_json

JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.", metavar="FILE")]
CamerasOption = Annotated[int, typer.Option(min=1, help="Number of cameras.")]
PeopleOption = Annotated[int, typer.Option(min=1, help="People in each view.")]
ReturningOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Share of arriving people who were at the site before.")
]
DimOption = Annotated[int, typer.Option(min=1, help="Length of an embedding.")]


def association(
    config: ConfigOption = None,
    settings: SetOption = None,
    cameras: CamerasOption = 16,
    people: PeopleOption = 40,
    identities: Annotated[int, typer.Option(min=1, help="Identities known to the linker.")] = 1000,
    returning: ReturningOption = 0.75,
    embedding_dim: DimOption = 384,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Measured seconds, after a warm-up in which embeddings are collected.")
    ] = 20.0,
    warmup: Annotated[float, typer.Option(min=0.0, help="Seconds of warm-up of the comparison.")] = 40.0,
    peer: Annotated[bool, typer.Option(help="Compare tracking and linking with ByteTrack of Ultralytics.")] = True,
    json_file: JsonOption = None,
) -> None:
    """Measure the time of linking at a site with many cameras, and how many people who return are recognised.

    The site is simulated at 10 frames per second, without networks, on one core. The linker alone gets the tracks of
    all cameras. If it forgets people because there are too many, the same tracks are linked again with unlimited
    memory. Then tracking and linking together are compared with ByteTrack of Ultralytics.

    Example:

        mtmc benchmark association --cameras 50 --people 20 --identities 5000 --no-peer
    """
    if peer and identities < cameras * people:
        raise InputError(f"--identities {identities} is less than the {cameras * people} people in view")
    loaded = _without_models(config, settings)
    console = Console(markup=False, soft_wrap=True)
    site = SimulatedSite(cameras, people, known=identities, returning=returning, embedding_dim=embedding_dim)
    with console.status(f"{cameras} cameras with {people} people each"):
        linking = measure_linking(site, loaded.linker, seconds)
    for line in linking.lines():
        console.print(line)
    found: dict[str, Any] = {"linking": asdict(linking)}
    if peer:
        with console.status(f"{cameras} cameras with {people} people each, with ByteTrack"):
            figures = measure_load(
                loaded,
                bytetrack(),
                cameras=cameras,
                people_in_view=people,
                identities=identities,
                embedding_dim=embedding_dim,
                warmup_s=warmup,
                measured_s=seconds,
            )
        console.print(f"tracks in a view: {figures.tracks:.1f}")
        console.print(f"identities known: {figures.identities}, with {figures.features:.1f} features each")
        console.print(f"mtmc, tracking and linking: {figures.association_ms:.2f} ms per camera frame")
        console.print(f"Ultralytics ByteTrack: {figures.peer_ms:.2f} ms per camera frame")
        found |= asdict(figures)
    write_json(json_file, found)


def _without_models(config: Path | None, settings: Sequence[str] | None) -> Config:
    """Return the configuration for simulated cameras, whose embeddings need no network."""
    overrides = overrides_of(settings)
    overrides.setdefault("cameras", [{"name": "simulated", "source": "simulated"}])
    embedder = overrides.setdefault("embedder", {})
    if isinstance(embedder, dict):  # otherwise loading reports the error
        embedder.setdefault("weights", None)
    return load_config(config, overrides)
