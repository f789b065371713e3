"""`mtmc find`: searches runs for people who look like a picture, or like a person of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands.arguments import ConfigOption, SetOption, overrides_of
from pipeline.core.errors import InputError, RunError
from pipeline.files.whole_files import write_whole
from pipeline.search.find import Found, Match, find
from pipeline.search.meaning import Meaning
from pipeline.search.ranking import Moment
from pipeline.search.sheet import draw_sheet

_STYLES = {Meaning.SAME: "bold green", Meaning.PERHAPS: "yellow", Meaning.NO: "dim"}


def find_command(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Output folders of `track` or `live`, or folders that hold some.", metavar="RUN..."),
    ],
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", help="A picture of the person. Repeatable, for the same person.", metavar="FILE"),
    ] = None,
    track: Annotated[
        str | None, typer.Option("--track", "-t", help="A track of the first RUN.", metavar="CAMERA:TRACK")
    ] = None,
    person_id: Annotated[
        int | None, typer.Option("--id", min=1, help="A person (global id) of the first RUN.", metavar="N")
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option("--camera", help="Camera of the run that took the pictures.", metavar="NAME"),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="The pictures are scenes, whatever their shape.")] = False,
    person: Annotated[
        list[int] | None,
        typer.Option(
            "--person", help="The person in a picture that shows several, from the left. Repeatable.", metavar="N"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Use the pictures as crops, even if nobody is found in them.")
    ] = False,
    top: Annotated[int, typer.Option("--top", min=1, help="Number of people (or tracks) to show.")] = 10,
    tracks: Annotated[
        bool, typer.Option("--tracks", help="Show tracks, not the nearest one of each person.")
    ] = False,
    cameras: Annotated[
        list[str] | None,
        typer.Option("--cameras", help="Search only these; repeatable, or with commas.", metavar="NAME,..."),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", help="Search only what was seen from then on: seconds or date.", metavar="TIME"),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="... and up to then, such as 2026-05-01T10:00:00Z.", metavar="TIME")
    ] = None,
    place: Annotated[
        list[str] | None,
        typer.Option(
            "--place", help="Search only runs with this name (of their folder). Repeatable.", metavar="NAME"
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the result to this file; - is the output.", metavar="FILE")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="Draw the query and the matches, cut from the recordings.", metavar="PNG"),
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Find the people in finished runs, or among the people whom a live site knows, who look like a person.

    The person is given by pictures (--image), or is one of the first RUN (--track, --id). The table shows the nearest
    track of each person; cost is the distance in match limits. Settings come from the run. docs/find.md explains what
    the words "same person" and "perhaps" mean, and how often they are wrong.

    Example:

        mtmc find results --image crop.jpg

        mtmc find results --id 3 --sheet matches.png
    """
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise InputError(f"--sheet {sheet}: must be a .png")
    for option, path in (("--json", json_file), ("--sheet", sheet)):
        if path is not None and str(path) != "-":
            _check_outside(option, path, folders)
    on_output = json_file is not None and str(json_file) == "-"
    console = Console(markup=False, highlight=False, stderr=on_output)
    with console.status("searching") as status:
        found = find(
            folders,
            images=image or (),
            track=track,
            person=person_id,
            camera=camera,
            whole=whole,
            choose=person or (),
            force=force,
            top=top,
            all_tracks=tracks,
            cameras=[name for text in cameras or () for name in text.split(",") if name],
            begin=_moment("--from", begin),
            end=_moment("--to", end),
            places=place or (),
            config=config,
            overrides=overrides_of(settings),
            on_tracks=lambda count: status.update(f"searching, {count} tracks"),
        )
    _print(console, found, all_tracks=tracks)
    text = json.dumps(found.to_dict(), indent=1) + "\n"
    if on_output:
        typer.echo(text, nl=False)
    elif json_file is not None:
        _write(json_file, text.encode())
    if sheet is not None:
        with console.status("cutting pictures from the recordings"):
            png, missing = draw_sheet(found)
        for sentence in missing:
            console.print(sentence, style="yellow", soft_wrap=True)
        _write(sheet, png)
        console.print(f"Wrote {sheet}", soft_wrap=True)


def _print(console: Console, found: Found, *, all_tracks: bool) -> None:
    for note in found.notes:
        console.print(f"{note[:1].upper()}{note[1:]}.", soft_wrap=True)
    several = len(found.runs) > 1
    dates = {moment.date() for m in found.matches for moment in (m.start_utc, m.end_utc) if moment is not None}
    one_date = dates.pop() if len(dates) == 1 and all(m.start_utc is not None for m in found.matches) else None
    table = Table("", box=None, padding=(0, 2, 0, 0))
    seen = "seen" if one_date is None else f"seen on {one_date} (UTC)"
    for name in (*["run"] * several, "track", "person", seen, "distance", "cost", "meaning"):
        is_text = name in ("run", "track", seen, "meaning")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=name not in ("run", "track", seen))
    if not all_tracks:
        table.add_column("more", justify="right", no_wrap=True)
    for match in found.matches:
        cells = [
            str(match.rank),
            *([match.run] * several),
            f"{match.camera_id}:{'–' if match.track_id is None else match.track_id}",
            match.person + ("" if match.final else "?"),
            _seen(match, with_date=one_date is None),
            f"{match.distance:.3f}",
            f"{match.cost:.2f}",
            str(match.meaning),
        ]
        if not all_tracks:
            cells.append(str(match.more_tracks) if match.more_tracks else "")
        table.add_row(*cells, style=_STYLES[match.meaning])
    console.print(
        f"Looking like {found.query}: {found.tracks} tracks of {found.people} people were compared.",
        style="bold",
        soft_wrap=True,
    )
    console.print(table)
    if any(match.more_tracks for match in found.matches) and not all_tracks:
        console.print(
            "more: number of other tracks of this person; --tracks shows them.", style="dim", soft_wrap=True
        )
    if any(not match.final for match in found.matches):
        console.print("?: this id may still change.", soft_wrap=True)
    if any(match.track_id is None for match in found.matches):
        console.print("–: no rows of this person are left.", soft_wrap=True)
    for reason, count in found.left_out.items():
        console.print(f"Not compared: {count} tracks {reason}.", style="yellow", soft_wrap=True)
    for name, sentence in found.meaning.items():
        prefix = f"{name}: " if several else ""
        text = prefix + sentence if prefix else sentence[:1].upper() + sentence[1:]
        console.print(f"{text}.", style="dim", soft_wrap=True)


def _seen(match: Match, *, with_date: bool) -> str:
    """Return when a match was seen: in UTC, or in seconds on the clock of the run."""
    if match.start_utc is None or match.end_utc is None:
        return f"{match.start_s:.1f} to {match.end_s:.1f} s"
    begin, end = match.start_utc, match.end_utc
    if not with_date:
        return f"{begin:%H:%M:%S} to {end:%H:%M:%S}"
    until = f"{end:%H:%M:%S}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    return f"{begin:%Y-%m-%d %H:%M:%S} to {until}Z"


def _moment(option: str, text: str | None) -> Moment | None:
    """Return seconds, or a date."""
    if text is None:
        return None
    with suppress(ValueError):
        seconds = float(text)
        if math.isfinite(seconds):
            return seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{option} {text!r}: expected seconds on the clock of the run, or a date such as 2026-05-01T10:00:00Z"
        ) from error
    return moment


def _check_outside(option: str, path: Path, folders: Sequence[Path]) -> None:
    """Raise InputError for a file inside a searched folder: `mtmc person purge` would not find it there."""
    for folder in folders:
        if folder.resolve() in path.resolve().parents:
            raise InputError(
                f"{option} {path} is inside {folder}, where `mtmc person purge` would not delete it with the person: "
                "choose another folder"
            )
    if not path.resolve().parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}")


def _write(path: Path, data: bytes) -> None:
    """Write a file for its owner only: it tells where somebody was."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error
