"""`mtmc benchmark motion`: what it costs and saves to leave out frames in which nothing moves."""

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
    from pipeline.benchmark.quiet_frames import QuietFigures


def motion(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML); by default those of configs/benchmark.", metavar="SET..."),
    ] = None,
    settings: SetOption = None,
    changing_light: Annotated[
        bool, typer.Option("--changing-light", help="Let the light change slowly, and switch it now and then.")
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder for saved detections and embeddings.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this file.", metavar="FILE")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Track with and without detector.motion_gate: IDF1, people who are lost, and frames that are not searched.

    It uses the same saved detections as `mtmc benchmark trackers`, without those in the frames that the gate leaves
    out.

    Example:

        mtmc benchmark motion configs/benchmark/demo.yaml
    """
    # Imported here because they load TrackEval and its dependencies, which no other command should wait for.
    from pipeline.benchmark.benchmark_set import read_benchmark_set
    from pipeline.benchmark.quiet_frames import quiet_figures, quiet_table

    console = Console(markup=False)
    paths = sets or sorted(SETS.glob("*.yaml"))
    # All sets are read first, so that an error in the last one is reported at once and not after hours.
    chosen_sets = [read_benchmark_set(path, overrides_of(settings)) for path in paths]
    folder = cache or cache_folder() / "benchmark"
    found: dict[str, QuietFigures] = {}
    with console.status("") as status:
        for chosen, title in zip(chosen_sets, titles(paths, 1), strict=True):
            on_step = lambda text: status.update(escape(text))  # noqa: E731
            found[title] = quiet_figures(chosen, folder, changing_light=changing_light, on_step=on_step)
            # Written after every set, so that results are kept if the next one fails.
            write_text(markdown, "\n".join(quiet_table(found)) + "\n")
            write_json(json_file, {name: figures.to_dict() for name, figures in found.items()})
    console.print(Markdown("\n".join(quiet_table(found))))
