"""`mtmc benchmark campus`: a sequence of the CAMPUS data set as a benchmark set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.core.errors import InputError


def campus(
    folder: Annotated[Path, typer.Argument(help="A sequence of CAMPUS with saved detections.", metavar="FOLDER")],
    output: Annotated[Path, typer.Option(help="Folder for set.yaml and its files.", metavar="FOLDER")],
    fit_share: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Fit the cameras on this share of the frames, score the rest.")
    ] = 0.2,
) -> None:
    """Prepare a CAMPUS sequence: fit homographies to the first part of its ground truth, keep the rest for scoring.

    No videos are used, so there are no embeddings: cameras are linked by floor positions alone.

    Example:

        mtmc benchmark campus campus_auditorium --output auditorium && mtmc benchmark trackers auditorium/set.yaml
    """
    from pipeline.benchmark.campus import fit_cameras, read_views, write_set

    console = Console(markup=False)
    views = read_views(folder)
    begin = round(fit_share * max(view.frames for view in views))
    if (output / "set.yaml").exists():
        raise InputError(f"{output} already holds a set; choose another folder or remove it")
    homographies, overlaps = fit_cameras(views, folder, begin)
    path = write_set(views, homographies, begin, output)
    for overlap in overlaps:
        console.print(
            f"{overlap.views[0]} and {overlap.views[1]}: median distance between their floor positions of a person "
            f"{overlap.fitted_m:.2f} m in the frames of the fit, {overlap.rest_m:.2f} m in the rest"
        )
    without = [view.name for view in views if view.name not in homographies]
    if without:
        console.print(f"No homography for {', '.join(without)}: no other view shows the same people")
    console.print(f"Wrote {path}, from frame {begin} on")
