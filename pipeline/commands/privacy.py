"""`mtmc person`: exports or deletes what a run has stored about a person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.lazy import new_app
from pipeline.core.errors import InputError
from pipeline.files.run_folder import REPORT_NAME
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_before, purge_person
from pipeline.privacy.run_folder import RunFolder

app = new_app(help="Export or delete what a run has stored about a person.")

_RunArgument = Annotated[Path, typer.Argument(help="Output folder of `live` or `track`.", metavar="DIR")]


@app.callback()
def options() -> None:
    """Export or delete what a run has stored about a person."""


@app.command()
def purge(
    folder: _RunArgument,
    person: Annotated[
        int | None, typer.Option("--id", min=1, help="Delete this person (global id).", metavar="N")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(
            help="Delete everything from before this date or time, such as 2026-05-01 (UTC).", metavar="DATE"
        ),
    ] = None,
    delete_shared: Annotated[
        bool,
        typer.Option("--delete-shared", help="Also delete videos and saved detections, which show everybody."),
    ] = False,
) -> None:
    """Delete a person's rows and embeddings from all files of a run, under every id of the person.

    The run must be stopped. Files of JSON lines sinks are found through the manifests. A report in DIR is deleted,
    because it shows everybody. Data in message brokers and your own copies are not reached.

    Example:

        mtmc person purge site --id 17
    """
    if (person is None) == (before is None):
        raise InputError("give either --id or --before")
    run = RunFolder(folder)
    if person is not None:
        purged = purge_person(run, person, delete_shared=delete_shared)
    else:
        purged = purge_before(run, _moment(before or ""), delete_shared=delete_shared)
    not_reached = [*purged.left, *run.out_of_reach]
    out_of_reach = f"; not reached: {', '.join(not_reached)}" if not_reached else ""
    damaged = (
        f", {purged.damaged} damaged lines, of which it is not known whose they are," if purged.damaged else ""
    )
    deleted = f", and the files {', '.join(purged.files)}" if purged.files else ""
    again = f"; `mtmc report {folder}` writes a new report" if REPORT_NAME in purged.files else ""
    Console(markup=False).print(
        f"{folder}: {purged.rows} rows, {purged.identities} known identities, {purged.tracklets} track summaries, "
        f"{purged.corrections} corrections, {purged.events} events and {purged.messages} JSON lines{damaged} were "
        f"deleted{deleted}{again}{out_of_reach}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def export(
    folder: _RunArgument,
    person: Annotated[int, typer.Option("--id", min=1, help="The person (global id).", metavar="N")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the two files.", metavar="DIR")
    ] = Path("export"),
) -> None:
    """Export what a run has stored about a person, as person-N.csv and person-N.json; the run may continue meanwhile.

    Example:

        mtmc person export site --id 17 --output for-person-17
    """
    content = export_person(RunFolder(folder), person, output)
    Console(markup=False).print(
        f"{len(content['rows'])} rows of person {content['global_id']} in {len(content['visits'])} visits are in "
        f"{output}",
        highlight=False,
        soft_wrap=True,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"--before must be a date or time such as 2026-05-01 or 2026-05-01T12:00Z, not {text!r}"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
