"""`mtmc benchmark confidence`: compares the confidence of links with how often they are right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape

from pipeline.commands.arguments import SetOption, overrides_of
from pipeline.commands.trackers import SETS, titles
from pipeline.core.export_cache import cache_folder
from pipeline.files.json_file import write_json, write_text

if TYPE_CHECKING:
    from pipeline.benchmark.confidence_report import SetConfidence


def confidence(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML); by default those of configs/benchmark.", metavar="SET..."),
    ] = None,
    settings: SetOption = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for saved detections and embeddings.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.", metavar="FILE")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.", metavar="FILE")
    ] = None,
) -> None:
    """Compare `link_confidence` with the share of right links, online and offline, and print the calibration error.

    It runs this project on the same saved detections as `mtmc benchmark trackers`, and compares each link with perfect
    linking of the same tracks. With sets of several places, it also fits a monotone mapping of the confidence on all
    places but one and judges it on that one. docs/benchmark.md explains the tables.

    Example:

        mtmc benchmark confidence configs/benchmark/pets09_two_views_people.yaml
    """
    # Imported here because they load TrackEval and its dependencies, which no other command should wait for.
    from pipeline.benchmark.benchmark_set import read_benchmark_set
    from pipeline.benchmark.confidence_report import (
        figures,
        left_out,
        left_out_table,
        measure_confidence,
        reliability_table,
    )

    console = Console(markup=False)
    paths = sets or sorted(SETS.glob("*.yaml"))
    # All sets are read first, so that an error in the last one is reported at once and not after hours.
    chosen_sets = [read_benchmark_set(path, overrides_of(settings)) for path in paths]
    found: dict[str, SetConfidence] = {}
    lines: list[str] = []
    with console.status("") as status:
        for chosen, title in zip(chosen_sets, titles(paths, 1), strict=True):
            found[title] = measure_confidence(
                chosen, cache or cache_folder() / "benchmark", lambda text: status.update(escape(text))
            )
            table = reliability_table(title, [found[title]])
            lines += [*table, ""]
            console.print(Markdown("\n".join(table)))
            # Written after every set, so that results are kept if the next one fails.
            write_text(markdown, "\n".join(lines))
            write_json(json_file, figures(found))
    if len(found) > 1:
        for table in (reliability_table("all sets", found.values()), left_out_table(left_out(found))):
            lines += [*table, ""] if table else []
            console.print(Markdown("\n".join(table)))
        write_text(markdown, "\n".join(lines))
