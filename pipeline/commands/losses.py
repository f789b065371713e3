"""`mtmc benchmark losses`: counts where linking loses boxes and tracks, by cause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from pipeline.commands.arguments import SetOption, overrides_of
from pipeline.commands.trackers import SETS, titles
from pipeline.core.export_cache import cache_folder
from pipeline.files.json_file import write_json, write_text

if TYPE_CHECKING:
    from pipeline.benchmark.loss_report import SetLosses


def losses(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML); by default those of configs/benchmark.", metavar="SET..."),
    ] = None,
    settings: SetOption = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for saved detections and embeddings.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.", metavar="FILE")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Count the boxes and tracks that linking loses, by cause, with online ids and with those of the second pass.

    It runs this project on the same saved detections as `mtmc benchmark trackers`, and compares its decisions with
    perfect linking of the same tracks. docs/benchmark.md defines the causes.

    Example:

        mtmc benchmark losses configs/benchmark/pets09_three_views.yaml
    """
    # Imported here because they load TrackEval and its dependencies, which no other command should wait for.
    from pipeline.benchmark.benchmark_set import read_benchmark_set
    from pipeline.benchmark.loss_report import (
        SUMMARIES,
        losses_table,
        measure_losses,
        summary_rows,
        summary_tables,
    )

    console = Console(markup=False)
    paths = sets or sorted(SETS.glob("*.yaml"))
    # All sets are read first, so that an error in the last one is reported at once and not after hours.
    chosen_sets = [read_benchmark_set(path, overrides_of(settings)) for path in paths]
    found: dict[str, SetLosses] = {}
    lines: list[str] = []
    with console.status("") as status:
        for chosen, title in zip(chosen_sets, titles(paths, 1), strict=True):
            found[title] = measure_losses(
                chosen, cache or cache_folder() / "benchmark", lambda text: status.update(escape(text))
            )
            table = losses_table(title, found[title])
            lines += [*table, ""]
            console.print(Markdown("\n".join(table)))
            # Written after every set, so that results are kept if the next one fails.
            write_text(markdown, "\n".join(lines))
            write_json(json_file, {name: one.to_dict() for name, one in found.items()})
    if len(found) > 1:
        for heading, offline in SUMMARIES.items():
            console.print(_table(heading, summary_rows(found, offline=offline)))
        write_text(markdown, "\n".join([*lines, *summary_tables(found)]))


def _table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    """Return a table for the terminal in which the names of the sets are whole."""
    head, *rest = rows
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place)
    for row in rest:
        table.add_row(*row)
    return table
