"""`mtmc homography`: the homography from a camera to the floor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pipeline.core.errors import InputError
from pipeline.files.number_text import yaml_number
from pipeline.floor.camera_files import WorldUnit, read_camera
from pipeline.floor.fit_homography import FloorFit, fit_homography, read_pairs, unlikely_span


def homography(
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV of point pairs: image_x_px, image_y_px, floor_x_m, floor_y_m; at least four."),
    ] = None,
    camera: Annotated[
        list[Path] | None,
        typer.Option(
            help="Parameters of a calibrated camera: OpenCV's (.yml, .json, .xml) or Tsai's (.xml). If they are in two "
            "files (intr_NAME.xml, extr_NAME.xml), give both, each with --camera."
        ),
    ] = None,
    world_unit: Annotated[
        WorldUnit | None,
        typer.Option(
            help="Unit of the world in the parameters of --camera; by default m, and mm for Tsai's. WILDTRACK: cm."
        ),
    ] = None,
    max_error_m: Annotated[
        float | None,
        typer.Option(help="Leave out pairs with an error above this many metres, as mistakes."),
    ] = None,
) -> None:
    """Compute a camera's homography from pixels to the floor, ready to paste into the configuration.

    Floor positions are in metres, in any coordinate system that all cameras share. Choose points on the floor itself,
    far apart, near and far: the corners of tiles, feet of pillars, marks.

    Example:

        mtmc homography --pairs entrance_points.csv
    """
    if (pairs is None) == (not camera):
        raise InputError("give either --pairs with points, or --camera with the parameters of a calibrated camera")
    if pairs is not None and world_unit is not None:
        raise InputError("--world-unit is for --camera: floor_x_m and floor_y_m of --pairs are in metres")
    console = Console(markup=False)
    if pairs is not None:
        image_px, floor_m = read_pairs(pairs)
        fit = fit_homography(image_px, floor_m, max_error_m=max_error_m)
        console.print(_table(image_px, floor_m, fit))
        used = fit.used
        console.print(
            f"{used.sum()} of {len(used)} pairs used; reprojection error {_rms(fit.error_m[used]):.3f} m on the "
            f"floor (worst {fit.error_m[used].max():.3f}), {_rms(fit.error_px[used]):.1f} px in the picture (worst "
            f"{fit.error_px[used].max():.1f})"
        )
        if (problem := unlikely_span(floor_m)) is not None:
            console.print(f"warning: {problem}", style="yellow")
        if used.sum() == 4:
            console.print("Four pairs always fit exactly: give more to measure the error.", style="yellow")
        matrix = fit.matrix
    else:
        matrix = read_camera(*(camera or ()), world_unit=world_unit)
    console.print("homography:")
    for row in matrix:
        # Lines that are broken at the width of the terminal cannot be pasted.
        console.print(f"  - [{', '.join(map(yaml_number, row.tolist()))}]", highlight=False, soft_wrap=True)


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def _table(image_px: np.ndarray, floor_m: np.ndarray, fit: FloorFit) -> Table:
    table = Table("image, px", "floor, m", "error, m", "error, px", "")
    for image, floor, metres, pixels, used in zip(
        image_px.tolist(), floor_m.tolist(), fit.error_m, fit.error_px, fit.used, strict=True
    ):
        table.add_row(
            f"{image[0]:g}, {image[1]:g}",
            f"{floor[0]:g}, {floor[1]:g}",
            f"{metres:.3f}",
            f"{pixels:.1f}",
            "" if used else "left out",
        )
    return table
