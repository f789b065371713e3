"""Command line of the demo scene: python -m demo render --output DIR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer

from demo.demo_scene import demo_scene
from demo.reid_crops.collection import CropSettings, draw_sheet, write_crops
from demo.render import render_scene
from demo.settings import SceneSettings
from demo.training_set import write_training_set
from pipeline.core.errors import InputError

app = typer.Typer(add_completion=False, help="Render videos of synthetic people with their ground truth.")


@app.callback()
def main() -> None:
    """Render videos of synthetic people, seen by calibrated cameras, with their ground truth."""


@app.command()
def render(
    output: Annotated[Path, typer.Option(help="folder for videos, ground truth and calibration")],
    people: Annotated[int | None, typer.Option(help="number of people, with random clothes and paths")] = None,
    seed: Annotated[int | None, typer.Option(help="random seed of clothes, paths and noise")] = None,
    seconds: Annotated[float | None, typer.Option(help="length of the scene in seconds")] = None,
    hall_seed: Annotated[int | None, typer.Option(help="random seed of the hall's colours and pictures")] = None,
    width: Annotated[int | None, typer.Option(help="image width in pixels; the height is 9/16 of it")] = None,
) -> None:
    """Render a scene. Without --people and --seed, it has the people and paths of demo/scene."""
    settings = demo_scene() if people is None and seed is None else SceneSettings()
    given = {"people": people, "seed": seed, "seconds": seconds, "hall_seed": hall_seed}
    try:
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if width is not None:
            changes["size_wh"] = (width, round(width * 9 / 32) * 2)
        render_scene(replace(settings, **changes), output)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


@app.command()
def training_set(
    output: Annotated[Path, typer.Option(help="folder of the data set in YOLO layout; pictures are added to it")],
    scenes: Annotated[int, typer.Option(help="number of halls, each with its own camera")] = 16,
    pictures: Annotated[int, typer.Option(help="pictures per scene, each with other people in other places")] = 8,
    seed: Annotated[int, typer.Option(help="random seed of everything")] = 1,
) -> None:
    """Render labelled pictures for training a person detector; they share only the bodies with demo/scene."""
    try:
        added = write_training_set(output, scenes=scenes, pictures=pictures, seed=seed)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{added.images} pictures with {added.boxes} people in {output}")


@app.command()
def reid_crops(
    avatars: Annotated[Path, typer.Option(help="folder of rigged .glb people: c-frame/valid-avatars-glb")],
    output: Annotated[Path, typer.Option(help="new folder for the crops")],
    people: Annotated[int, typer.Option(help="number of people")] = 4000,
    crops_per_person: Annotated[int, typer.Option(help="crops per person, from two to six cameras")] = 8,
    seed: Annotated[int, typer.Option(help="random seed of everything")] = 0,
    workers: Annotated[int, typer.Option(help="processes; the crops do not depend on their number")] = 2,
    panoramas: Annotated[Path | None, typer.Option(help="folder of .exr panoramas for the background")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="folder for unpacked avatars; default: beside the output")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="also write a picture (.png) of some crops")] = None,
) -> None:
    """Render crops of people who do not exist, for training re-identification."""
    cache = cache or output.with_name(f"{output.name}.avatars")
    command = f"python -m demo reid-crops --people {people} --crops-per-person {crops_per_person} --seed {seed}"
    try:
        settings = CropSettings(avatars, cache, panoramas, people, crops_per_person, seed, workers)
        written = write_crops(settings, output, command + (" --panoramas FOLDER" if panoramas else ""))
        if sheet is not None:
            cv2.imwrite(str(sheet), draw_sheet(output))
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{written.crops} crops in {output}, {written.cpu_s / written.crops:.2f} processor seconds each")


if __name__ == "__main__":
    app()
