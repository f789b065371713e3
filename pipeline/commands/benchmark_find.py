"""`mtmc benchmark find`: how often a search by picture finds the right person."""

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
    from pipeline.benchmark.finding import FindScores

_DEFAULT_SETS = ("demo", "pets09_two_views_people", "pets09_three_views_people", "tud_stadtmitte_two_views")


def find_sets(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML) of several cameras; by default four.", metavar="SET..."),
    ] = None,
    settings: SetOption = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for saved runs.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this file.", metavar="FILE")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Measure how often a search by picture finds the right person in the other cameras.

    The query is one good crop of each person and camera, cut by the ground truth. The gallery is the tracks that a run
    found in the other cameras. The table also says how often the words of `mtmc find` are right.

    Example:

        mtmc benchmark find --set embedder.half=false --set detector.half=false
    """
    from pipeline.benchmark.benchmark_set import read_benchmark_set
    from pipeline.benchmark.finding import measure_finding

    console = Console(markup=False)
    paths = sets or [SETS / f"{name}.yaml" for name in _DEFAULT_SETS]
    chosen_sets = [read_benchmark_set(path, overrides_of(settings)) for path in paths]
    found: dict[str, list[FindScores]] = {}
    with console.status("") as status:
        for chosen, title in zip(chosen_sets, titles(paths, 1), strict=True):
            found[title] = measure_finding(
                chosen, cache or cache_folder() / "benchmark", lambda text: status.update(escape(text))
            )
            table = find_table(found)
            # Written after every set, so that results are kept if the next one fails.
            write_text(markdown, "\n".join(table) + "\n")
            write_json(json_file, {name: [one.to_dict() for one in of_set] for name, of_set in found.items()})
    console.print(Markdown("\n".join(table)))


def find_table(found: dict[str, list[FindScores]]) -> list[str]:
    """Return the lines of a Markdown table."""
    words = [f'"{word}"' for word in next(iter(found.values()))[0].said]
    lines = [
        "| set | camera of the query | searches (left out) | rank-1 | mAP | "
        f"{' | '.join(f'{word}: right' for word in words)} |",
        "|---" * (5 + len(words)) + "|",
    ]
    for title, of_set in found.items():
        for one in of_set:
            cells = [f"{one.right[word]} of {said}" for word, said in one.said.items()]
            stated = "stated" if one.camera_stated else "unknown"
            lines.append(
                f"| {title} | {stated} | {one.queries} ({one.left_out}) | {100 * one.rank1:.1f} | "
                f"{100 * one.mean_average_precision:.1f} | {' | '.join(cells)} |"
            )
    return lines
