"""`mtmc homography`: the homography from a camera to the floor."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands.arguments import has_desktop
from pipeline.core.errors import InputError
from pipeline.floor.camera_files import WorldUnit, read_camera
from pipeline.floor.fit_homography import FloorFit, fit_homography, homography_yaml, read_pairs

if TYPE_CHECKING:
    from pipeline.homography_page.session import Session


def homography(
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="CSV of point pairs: image_x_px, image_y_px, floor_x_m, floor_y_m; at least four. With --image, the "
            "file that the page continues and saves; by default NAME_points.csv beside the image.",
            metavar="FILE",
        ),
    ] = None,
    camera: Annotated[
        list[Path] | None,
        typer.Option(
            help="Parameters of a calibrated camera: OpenCV's (.yml, .json, .xml) or Tsai's (.xml). If they are in two "
            "files (intr_NAME.xml, extr_NAME.xml), give both, each with --camera.",
            metavar="FILE",
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            help="Click the points on this still of the camera, in a page that only this machine can open. A video "
            "gives its first frame.",
            metavar="FILE",
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="With --image: a plan of the floor, to click positions instead of typing them.", metavar="FILE"
        ),
    ] = None,
    plan_scale: Annotated[
        float | None,
        typer.Option(help="Metres per pixel of the plan; without it, the page measures it.", metavar="METRES"),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes any free one.", metavar="PORT")
    ] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser, if there is a desktop.")
    ] = True,
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
    far apart, near and far: the corners of tiles, feet of pillars, marks. On a plan, 0, 0 is the upper left corner, x
    goes to the right and y down.

    Example:

        mtmc homography --pairs entrance_points.csv
    """
    if image is None and (pairs is None) == (not camera):
        raise InputError(
            "give either --pairs with points, or --image to click them, or --camera with the parameters of a "
            "calibrated camera"
        )
    if image is not None and camera:
        raise InputError("--image is for clicked points: give it without --camera")
    if not camera and world_unit is not None:
        raise InputError("--world-unit is for --camera: floor_x_m and floor_y_m of --pairs are in metres")
    if image is None and (plan is not None or plan_scale is not None):
        raise InputError("--plan and --plan-scale are for the page: give --image with a still of the camera")
    if plan is None and plan_scale is not None:
        raise InputError("--plan-scale is the scale of a plan: give the plan with --plan")
    if plan_scale is not None and not 0 < plan_scale < np.inf:
        raise InputError(f"--plan-scale {plan_scale:g}: expected metres per pixel, above 0")
    console = Console(markup=False)
    if image is not None:
        _click(console, image, plan, plan_scale, pairs, max_error_m, port, open_browser)
    elif pairs is not None:
        _print_fit(console, *read_pairs(pairs), max_error_m)
    else:
        _print_yaml(console, homography_yaml(read_camera(*(camera or ()), world_unit=world_unit)))


def _click(
    console: Console,
    image: Path,
    plan: Path | None,
    plan_scale: float | None,
    pairs: Path | None,
    max_error_m: float | None,
    port: int,
    open_browser: bool,
) -> None:
    """Serve the page until the user ends it, then print the homography of the saved pairs."""
    try:
        from pipeline.homography_page.server import PointServer
        from pipeline.homography_page.session import Session
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise InputError(f"--image needs the package {error.name}: pip install 'mtmc[web]'") from error
    from pipeline.homography_page.pictures import read_picture

    session = Session(
        read_picture(image),
        None if plan is None else read_picture(plan),
        plan_scale,
        pairs or image.with_name(f"{image.stem}_points.csv"),
        max_error_m,
    )
    with PointServer(session, port) as server:
        console.print(f"Open {server.url} (Ctrl-C ends the page)", highlight=False, soft_wrap=True)
        if open_browser and has_desktop():
            webbrowser.open(server.url)
        _wait(session)
    if not session.saved:
        console.print(f"Nothing was saved to {session.file}.", style="yellow", soft_wrap=True)
        return
    console.print(f"Wrote {len(session.pairs.image_px)} pairs to {session.file}", soft_wrap=True)
    if session.plan_scale is not None and plan is not None:
        console.print(
            f"The other cameras need the same plan with --plan-scale {session.plan_scale:g}", soft_wrap=True
        )
    _print_fit(console, session.pairs.image_px, session.pairs.floor_m, max_error_m)
    width, height = session.picture.size_wh
    console.print(f"calibrated_size_wh: [{width}, {height}]", highlight=False, soft_wrap=True)


def _wait(session: Session) -> None:
    try:
        session.finished.wait()
    except KeyboardInterrupt:
        return


def _print_fit(console: Console, image_px: np.ndarray, floor_m: np.ndarray, max_error_m: float | None) -> None:
    fit = fit_homography(image_px, floor_m, max_error_m=max_error_m)
    console.print(_table(image_px, floor_m, fit))
    console.print(fit.summary)
    for warning in fit.warnings(floor_m):
        console.print(f"warning: {warning}", style="yellow")
    _print_yaml(console, fit.yaml)


def _print_yaml(console: Console, text: str) -> None:
    # Lines that are broken at the width of the terminal cannot be pasted.
    console.print(text, end="", highlight=False, soft_wrap=True)


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
