"""`mtmc count`: counts the people of a finished run at zones and lines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import ConfigOption, SetOption, overrides_of
from pipeline.config.config import Config, load_config
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge
from pipeline.counting.events_file import write_events
from pipeline.files.folder_lock import FolderLock
from pipeline.files.json_file import write_json
from pipeline.files.run_folder import EVENTS_NAME
from pipeline.files.whole_files import FILE_MODE, SHARED_MODE
from pipeline.recorded.count_run import count_run
from pipeline.recorded.countable_run import CountableRun, countable_run
from pipeline.recorded.heat_maps import write_heat_maps


def count(
    folder: Annotated[Path, typer.Argument(help="Output folder of `track` or `live`.", metavar="RUN")],
    config: ConfigOption = None,
    settings: SetOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the events here instead of RUN/events.csv.", metavar="FILE"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the totals to this file.", metavar="FILE")
    ] = None,
    heat_map: Annotated[
        Path | None,
        typer.Option(
            help="Write pictures of where people were for how long: heat_map-CAMERA.png and floor_heat_map.png.",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """Count the people of a finished run at zones and lines: who entered, left and crossed, how long they stayed.

    A person counts once, over all cameras. Zones and lines are those of --config, or else of the run. Writes
    events.csv, which replaces an earlier one, and prints totals. docs/counting.md defines every event.

    Example:

        mtmc count results --config zones.yaml --heat-map results/heat
    """
    run = countable_run(folder)
    loaded = _config_of(run, config, settings)
    if not (loaded.zones or loaded.lines) and heat_map is None:
        raise InputError(
            f"nothing to count: neither the run in {folder} nor --config has zones or lines; docs/counting.md shows "
            "how to draw them"
        )
    console = Console(markup=False, highlight=False)
    if loaded.zones or loaded.lines:
        target = output or folder / EVENTS_NAME
        with ExitStack() as held:
            if output is None:
                held.enter_context(_locked(run))
            counted = count_run(run, loaded.zones, loaded.lines, loaded.counting)
            mode = FILE_MODE if run.live else SHARED_MODE
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{target.parent} cannot be created: {error.strerror}") from error
            write_events(target, counted.events, run.epoch_utc, mode=mode)
        console.print(counted.tables())
        console.print(f"{len(counted.events)} events are in {target}", soft_wrap=True)
        write_json(json_file, counted.to_dict())
    if heat_map is not None:
        for path in write_heat_maps(run, loaded.zones, loaded.lines, loaded.counting, heat_map):
            console.print(f"heat map: {path}", soft_wrap=True)


def _locked(run: CountableRun) -> FolderLock:
    """Lock the folder of the run, whose events.csv is replaced.

    Raises:
        InputError: another command is writing into it, or it cannot be written.
    """
    if not os.access(run.folder, os.W_OK):
        raise InputError(f"{run.folder} cannot be written: give --output FILE")
    advice = "wait until that has ended, or give --output FILE"
    return FolderLock(run.folder, "mtmc count", advice=advice, private=run.live, keep=run.live)


def _config_of(run: CountableRun, config: Path | None, settings: Sequence[str] | None) -> Config:
    """Return the configuration with zones and lines: the file, else that of the run."""
    overrides = overrides_of(settings)
    if config is not None:
        return load_config(config, overrides)
    try:
        load_config(None, run.counting)
    except InputError as error:
        raise InputError(
            f"the run in {run.folder} has zones that this version cannot use ({error}): give --config"
        ) from error
    return load_config(None, merge(run.counting, overrides))
