"""`mtmc benchmark limits`: how much a result depends on each limit."""

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
    from pipeline.benchmark.sensitivity import Curve


def limits(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML); by default those of configs/benchmark.", metavar="SET..."),
    ] = None,
    settings: SetOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Change only this limit, such as linker.margin. Repeatable.", metavar="SECTION.KEY"),
    ] = None,
    peers: Annotated[bool, typer.Option(help="Change the limits of Ultralytics' trackers, too.")] = True,
    cache: Annotated[Path | None, typer.Option(help="Folder for saved detections and embeddings.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.", metavar="FILE")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves to this file.", metavar="FILE.png")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Multiply one limit at a time by .8, .9, 1.1 and 1.2, and print the IDF1: a good tracker hardly depends on it.

    The limits of this project are all settings of tracker, linker and second_pass that are fractions, with the
    calibrated match limits as numbers; those of Ultralytics' trackers are the fractions in their settings files. It
    uses the same saved detections as `mtmc benchmark trackers`, and takes some minutes for each set.

    Example:

        mtmc benchmark limits configs/benchmark/pets09_two_views.yaml --plot limits.png
    """
    # Imported here because they load TrackEval and its dependencies, which no other command should wait for.
    from pipeline.benchmark.benchmark_set import read_benchmark_set
    from pipeline.benchmark.sensitivity import own_curves, peer_curves
    from pipeline.benchmark.sensitivity_report import curves_table, plot_curves, summary_table

    console = Console(markup=False)
    paths = sets or sorted(SETS.glob("*.yaml"))
    # All sets are read first, so that an error in the last one is reported at once and not after hours.
    chosen_sets = [read_benchmark_set(path, overrides_of(settings)) for path in paths]
    folder = cache or cache_folder() / "benchmark"
    found: dict[str, list[Curve]] = {}
    lines: list[str] = []
    with console.status("") as status:
        for chosen, title in zip(chosen_sets, titles(paths, 1), strict=True):
            on_step = lambda text: status.update(escape(text))  # noqa: E731
            found[title] = own_curves(chosen, folder, only=only or (), on_step=on_step)
            if peers:
                found[title] += peer_curves(chosen, folder, on_step=on_step)
            table = curves_table(title, found[title])
            lines += [*table, ""]
            console.print(Markdown("\n".join(table)))
            # Written after every set, so that results are kept if the next one fails.
            write_text(markdown, "\n".join([*summary_table(found), "", *lines]))
            write_json(json_file, {name: [curve.to_dict() for curve in curves] for name, curves in found.items()})
            if plot is not None:
                plot_curves(plot, found)
    console.print(Markdown("\n".join(summary_table(found))))
