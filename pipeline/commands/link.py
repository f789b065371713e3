"""`mtmc link`: links the cameras again, using the tracklets of a finished run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.assembly import match_limits
from pipeline.association.build import build_second_pass
from pipeline.commands.arguments import ConfigOption, OverwriteOption, SetOption, overrides_of
from pipeline.config.calibration import with_numbers
from pipeline.config.config import Config, load_config
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge
from pipeline.cross_camera.settings import check_windows
from pipeline.files.run_folder import clear_results, hold_results
from pipeline.files.tracklet_file import TrackletFile, read_info
from pipeline.recorded.finalize import rewrite
from pipeline.recorded.run_note import NOTE_NAME, EarlierNote


def link(
    folder: Annotated[Path, typer.Argument(help="Output folder of `track`.", metavar="DIR")],
    config: ConfigOption = None,
    settings: SetOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of changing DIR.", metavar="DIR")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Link the cameras again with other settings, without decoding and without running models.

    Also gives final ids to a run that was interrupted. Settings that are not given with --set come from --config, or
    else from the run.json of the run.

    Example:

        mtmc link results --set second_pass.max_cosine_distance=0.3 --output results-strict
    """
    tracklet_file = folder / "tracklets.arrow"
    if not tracklet_file.is_file() or not (folder / "trajectories.csv").is_file():
        raise InputError(f"{folder} holds no results of `track` (trajectories.csv and tracklets.arrow)")
    target = output or folder
    in_place = target.resolve() == folder.resolve()
    if in_place and not overwrite:
        raise InputError(
            f"{folder / 'trajectories.csv'} already exists. Use --overwrite to replace it, or another --output"
        )
    with ExitStack() as held:
        # A folder without write permission needs no lock, and cannot have one.
        if in_place or os.access(folder, os.W_OK):
            held.enter_context(hold_results(folder, "mtmc link"))
        info = read_info(tracklet_file)
        note = EarlierNote(folder / NOTE_NAME)
        loaded = load_config(config, overrides_of(settings)) if config else _config_of(note, folder, settings)
        camera_ids = list(info.camera_ids)
        check_windows(loaded.linker.transit_windows, camera_ids)
        limits = match_limits(loaded, info.embedder_hash)
        links = build_second_pass(loaded, limits, camera_ids).link(TrackletFile(tracklet_file))
        if not in_place:
            held.enter_context(hold_results(target, "mtmc link"))
            clear_results(target, overwrite)
            shutil.copyfile(tracklet_file, target / "tracklets.arrow")
        rows = rewrite(
            folder,
            links,
            camera_ids=camera_ids,
            epoch_utc=note.epoch_utc,
            interpolate_max_gap_s=loaded.output.fill_gaps_s,
            index_steps=note.index_steps,
            output=target,
        )
        people = len({link.global_id for link in links.values()})
        note.write_linked(target / NOTE_NAME, with_numbers(loaded, limits), global_ids=people, rows=rows)
    Console().print(
        f"{len(links)} tracks of {len(camera_ids)} cameras are {people} people; {rows} rows in "
        f"{target / 'trajectories.csv'}"
    )


def _config_of(note: EarlierNote, folder: Path, settings: Sequence[str] | None) -> Config:
    """Return the configuration of the run in `folder`, with some settings changed."""
    overrides = overrides_of(settings)
    try:
        load_config(None, note.linking)
    except InputError as error:
        raise InputError(
            f"{folder / NOTE_NAME} holds a configuration that this version cannot use ({error}): give --config"
        ) from error
    return load_config(None, merge(note.linking, overrides))
