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
from pipeline.benchmark.resident_memory import peak_resident_mb
from pipeline.benchmark.second_pass_load import measure_second_pass
from pipeline.benchmark.simulated_site import SimulatedSite, SimulatedTracklets
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


def second_pass(
    config: ConfigOption = None,
    settings: SetOption = None,
    tracklets: Annotated[int, typer.Option(min=2, help="Number of tracklets.")] = 10_000,
    cameras: CamerasOption = 50,
    people: PeopleOption = 20,
    identities: Annotated[int, typer.Option(min=0, help="People who come back, besides new ones.")] = 2000,
    returning: ReturningOption = 0.75,
    embedding_dim: DimOption = 384,
    noise: Annotated[float, typer.Option(min=0.0, help="Length of the random part of an embedding.")] = 0.35,
    at_once: Annotated[
        int,
        typer.Option(min=0, help="Also cluster this number of the first tracklets in windows, and all at once."),
    ] = 1000,
    json_file: JsonOption = None,
) -> None:
    """Measure CPU time, memory and accuracy of the second pass with made tracklets, on one core.

    Example:

        mtmc benchmark second-pass --tracklets 100000
    """
    loaded = _without_models(config, settings)
    console = Console(markup=False, soft_wrap=True)
    site = SimulatedSite(
        cameras,
        people,
        known=identities,
        returning=returning,
        embedding_dim=embedding_dim,
        embedding_noise=noise,
    )
    found: dict[str, Any] = {}
    runs = {"": (tracklets, loaded.second_pass)}
    if at_once:
        few = min(at_once, tracklets)
        whole = loaded.second_pass.model_copy(update={"max_tracklets_at_once": few + 1})
        runs |= {"the first ones: ": (few, loaded.second_pass), "the first ones, all at once: ": (few, whole)}
    for title, (count, chosen) in runs.items():
        with console.status(f"{count} tracklets"):
            figures = measure_second_pass(SimulatedTracklets(site, count), chosen, loaded.linker)
        console.print(title + figures.line())
        found[title.strip(": ") or "all"] = asdict(figures)
        if not title:
            found["peak_mb"] = peak_resident_mb()
            console.print(f"peak of the memory: {found['peak_mb']:.0f} MB")
    write_json(json_file, found)
