"""`mtmc topology`: proposes transit windows, and says which views overlap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from pipeline.commands.arguments import OverwriteOption
from pipeline.core.errors import InputError
from pipeline.cross_camera.topology import FEW_TRANSITS, ObservedTransits, Topology, Visit, observed_topology
from pipeline.files.json_file import write_text
from pipeline.files.number_text import yaml_number
from pipeline.recorded.missing_tracklets import tracks_in
from pipeline.stored.run import StoredRun, stored_runs


def topology(
    folders: Annotated[list[Path], typer.Argument(help="Output folders of `track` or `live`.", metavar="DIR...")],
    yaml_file: Annotated[
        Path | None,
        typer.Option("--yaml", help="Write the proposed windows to this file, as configuration.", metavar="FILE"),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Propose transit windows from the final ids of runs, and say which views overlap.

    A transit lasts from the last moment in one camera to the first moment in another; it is negative if both saw the
    person at one time. The windows are as good as the ids: look at the video first, and delete windows that are wrong.

    Example:

        mtmc topology results --yaml windows.yaml
    """
    if yaml_file is not None and yaml_file.exists() and not overwrite:
        raise InputError(f"{yaml_file} already exists. Use --overwrite to replace it, or choose another --yaml")
    visits: list[Visit] = []
    cameras: set[str] = set()
    provisional = tracks = 0
    notes: list[str] = []
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        for run in stored_runs(folder):
            own, not_final = _visits(run, notes)
            visits += own
            provisional += not_final
            tracks += len(own) + not_final
            cameras |= {*run.cameras, *(visit.camera_id for visit in own)}
    if not visits:
        raise InputError(
            f"{', '.join(map(str, folders))}: none of {tracks} tracks has a final id. `mtmc link` gives final ids to a "
            "run of `track` that was interrupted, or that ran without second_pass.enabled"
        )
    found = observed_topology(visits, sorted(cameras))
    console = Console(markup=False, highlight=False)
    if provisional:
        notes.append(f"{provisional} of {tracks} tracks are left out: their id is provisional")
    for note in notes:
        console.print(f"warning: {note}", style="yellow", soft_wrap=True)
    people = len({visit.person for visit in visits})
    console.print(_transit_table(found))
    console.print()
    console.print(_view_table(found))
    console.print()
    few = sum(pair.few for pair in found.transits)
    if few:
        console.print(
            f"warning: {few} of {len(found.transits)} pairs have fewer than {FEW_TRANSITS} transits. Their windows are "
            "comments in the YAML: track more recordings, or judge them yourself",
            style="yellow",
            soft_wrap=True,
        )
    text = windows_yaml(found.transits, f"{len(visits)} tracks of {people} people")
    if yaml_file is None:
        console.print(text, end="", soft_wrap=True)
    else:
        write_text(yaml_file, text)
        console.print(f"Wrote {yaml_file}", soft_wrap=True)


def _visits(run: StoredRun, notes: list[str]) -> tuple[list[Visit], int]:
    """Return the tracks of a run that have a final id, and the number of others. Live runs of a folder continue the ids
    of earlier ones."""
    damaged: list[str] = []
    visits, not_final = [], 0
    for (camera_id, _), track in tracks_in(run.rows(damaged)).items():
        if track.link.final:
            visits.append(Visit((run.folder, track.link.global_id), camera_id, track.start_s, track.end_s))
        else:
            not_final += 1
    notes += [f"lines that cannot be read are left out, in {text}" for text in damaged]
    if not run.ended:
        notes.append(f"{run.folder}: the run has not noted its end: rows may be missing, and ids may change")
    return visits, not_final


def windows_yaml(transits: Sequence[ObservedTransits], source: str) -> str:
    """Return the proposed windows as text for a configuration; those from few transits as comments."""
    lines = []
    for pair in transits:
        window = pair.window
        entry = (
            f"- {{from: {_name(window.from_camera)}, to: {_name(window.to_camera)}, "
            f"min_s: {yaml_number(window.min_s)}, max_s: {yaml_number(window.max_s)}, one_way: true}}"
        )
        lines.append(f"    {'# few: ' if pair.few else ''}{entry}   # {_counted(pair)}")
    head = f"# Proposed by `mtmc topology` from {source}; pairs that are not listed have no limit.\nlinker:\n"
    if all(pair.few for pair in transits):
        return "\n".join([f"{head}  transit_windows: []", *lines]) + "\n"
    return "\n".join([f"{head}  transit_windows:", *lines]) + "\n"


def _counted(pair: ObservedTransits) -> str:
    counted = f"{pair.count} transit{'s' * (pair.count != 1)}"
    return f"{counted}, {pair.longer} of them longer" if pair.longer else counted


def _name(camera_id: str) -> str:
    """Return a name as YAML reads it as text; no and 1 would be something else."""
    return camera_id if yaml.safe_load(camera_id) == camera_id else json.dumps(camera_id, ensure_ascii=False)


def _transit_table(found: Topology) -> Table:
    table = _table("from", "to", title="Transits in seconds, and windows")
    for name in ("count", "shortest", "5 %", "50 %", "95 %", "longest", "min_s", "max_s"):
        table.add_column(name, justify="right")
    table.add_column("")
    for pair in found.transits:
        window = pair.window
        times_s = (pair.shortest_s, *(map(pair.percentile_s, (5, 50, 95))), float(pair.direct_s[-1]))
        remarks = [
            text for text in ("few" if pair.few else "", f"{pair.longer} longer" if pair.longer else "") if text
        ]
        table.add_row(
            pair.from_camera,
            pair.to_camera,
            str(pair.count),
            *(f"{time_s:.1f}" for time_s in times_s),
            yaml_number(window.min_s),
            yaml_number(window.max_s),
            ", ".join(remarks),
        )
    return table


def _table(*columns: str, title: str) -> Table:
    return Table(*columns, title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))


def _view_table(found: Topology) -> Table:
    table = _table("views", title="People in two views at one time")
    for name in ("people", "of", "seconds", "share of the time"):
        table.add_column(name, justify="right")
    table.add_column("")
    for view in found.views:
        first, second = view.shares
        table.add_row(
            " and ".join(view.cameras),
            str(view.together),
            str(view.people),
            f"{view.together_s:.1f}",
            f"{first:.0%} and {second:.0%}",
            "overlap" if view.overlap else "",
        )
    return table
