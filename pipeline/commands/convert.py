"""`mtmc convert`: writes the trajectories of a run in the formats of other tools."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import OverwriteOption, camera_texts
from pipeline.conversion.convert import Converted, Format
from pipeline.conversion.convert import convert as convert_run
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown, visible
from pipeline.stored.run import stored_run

_SIZE = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")


def convert(
    folder: Annotated[Path, typer.Argument(help="Output folder of `track` or `live`.", metavar="DIR")],
    target: Annotated[
        Format,
        typer.Option(
            "--to",
            help="coco: JSON with the fields of COCO-VID and TAO. cvat: XML of CVAT for video 1.1. datumaro: JSON of "
            "Datumaro. parquet: one table. mot: MOT result text. fiftyone-script: a script that builds a FiftyOne "
            "dataset.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A file for parquet, a folder for the other formats.", metavar="PATH"),
    ],
    interpolated: Annotated[
        bool, typer.Option("--interpolated/--observed-only", help="Also convert interpolated rows.")
    ] = True,
    size: Annotated[
        list[str] | None,
        typer.Option(
            help="Picture size of a camera in pixels, if the run has not noted it; once per camera.",
            metavar="CAMERA=WIDTHxHEIGHT",
        ),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run", help="One of several live runs in DIR.", metavar="RUN")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write the trajectories of a run for other tools: COCO, CVAT, Datumaro, Parquet, MOT or FiftyOne.

    Boxes, tracks and global ids are the same as in the run; corrections of a live run are applied. Rows that are left
    out are counted. The files hold data of people: `mtmc person purge` names them, but cannot change them.

    Example:

        mtmc convert results --to cvat --output for-cvat
    """
    converted = convert_run(
        stored_run(folder, run_id),
        target,
        output,
        overwrite=overwrite,
        observed_only=not interpolated,
        sizes_wh=_sizes(size),
    )
    _print(Console(markup=False, highlight=False), folder, target, converted)


def _print(console: Console, folder: Path, target: Format, converted: Converted) -> None:
    for reason, count in sorted(converted.told.left_out.items()):
        console.print(f"warning: {count} rows {reason} are left out", style="yellow", soft_wrap=True)
    for note in converted.told.notes:
        console.print(f"warning: {visible(note)}", style="yellow", soft_wrap=True)
    console.print(
        f"{folder}: {converted.rows} rows of {converted.cameras} cameras as {target} in "
        f"{', '.join(map(str, converted.files))}",
        soft_wrap=True,
    )


def _sizes(texts: Sequence[str] | None) -> dict[str, tuple[int, int]]:
    sizes = {}
    for name, text in camera_texts("--size", texts, "WIDTHxHEIGHT", "1920x1080").items():
        size = _SIZE.fullmatch(text)
        if size is None:
            raise InputError(f"--size {name}={shown(text)}: expected WIDTHxHEIGHT in pixels, such as 1920x1080")
        sizes[name] = (int(size[1]), int(size[2]))
    return sizes
