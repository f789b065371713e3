"""`mtmc link`: the pass between the cameras again, on the tracklets of a finished run."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.assembly import build_second_pass, calibrated
from pipeline.commands.arguments import ConfigOption, OverwriteOption, SetOption, overrides_of
from pipeline.config import load_config
from pipeline.cross_camera.tracklet_file import read_info, read_tracklets
from pipeline.errors import InputError
from pipeline.finalize import rewrite
from pipeline.results_csv import clear_results


def link(
    folder: Annotated[Path, typer.Argument(help="Output folder of a run of `track`.", metavar="DIR")],
    config: ConfigOption = None,
    settings: SetOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of changing DIR.", metavar="DIR")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Link the cameras again with other settings: nothing is decoded and no model runs.

    Also gives final ids to a run that was interrupted.

    Example:

        mtmc link results --set second_pass.max_cosine_distance=0.3 --output results-strict
    """
    tracklet_file = folder / "tracklets.arrow"
    if not tracklet_file.is_file() or not (folder / "trajectories.csv").is_file():
        raise InputError(f"{folder} holds no results of `track` (trajectories.csv and tracklets.arrow)")
    if output is None and not overwrite:
        raise InputError(
            f"{folder / 'trajectories.csv'} already exists. Use --overwrite to replace it, or --output"
        )
    loaded = load_config(config, overrides_of(settings))
    info = read_info(tracklet_file)
    camera_ids = list(info.camera_ids)
    unknown = {
        name
        for window in loaded.linker.transit_windows
        for name in (window.from_camera, window.to_camera)
        if name not in camera_ids
    }
    if unknown:
        raise InputError(
            f"transit_windows name {', '.join(sorted(unknown))}, but the cameras of {folder} are "
            f"{', '.join(camera_ids)}"
        )
    if output is not None and output.resolve() != folder.resolve():
        clear_results(output, overwrite)
        shutil.copyfile(tracklet_file, output / "tracklets.arrow")
    loaded = calibrated(loaded, info.embedder_hash)
    links = build_second_pass(loaded, camera_ids).link(read_tracklets(tracklet_file))
    rows = rewrite(
        folder,
        links,
        camera_ids=camera_ids,
        epoch_utc=_epoch_utc(folder / "run.json"),
        interpolate_max_gap_s=loaded.output.interpolate_max_gap_s if loaded.output.interpolate else None,
        output=output,
    )
    people = len({link.global_id for link in links.values()})
    Console().print(
        f"{len(links)} tracks of {len(camera_ids)} cameras are {people} people; {rows} rows in "
        f"{(output or folder) / 'trajectories.csv'}"
    )


def _epoch_utc(note: Path) -> datetime | None:
    """The date and time of second 0 that `track` noted."""
    try:
        epoch = json.loads(note.read_text(encoding="utf-8"))["epoch_utc"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{note} is missing or damaged, so the start of the recording is unknown") from error
    return None if epoch is None else datetime.fromisoformat(epoch)
