"""`mtmc benchmark trackers`: compares this project with other trackers on the same boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape

from pipeline.commands.arguments import SetOption, overrides_of
from pipeline.core.export_cache import cache_folder
from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.json_file import write_json, write_text

if TYPE_CHECKING:
    from pipeline.benchmark.benchmark_set import BenchmarkSet
    from pipeline.benchmark.report import Contestant

SETS = PROJECT_ROOT / "configs" / "benchmark"


def trackers(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML); by default those of configs/benchmark.", metavar="SET..."),
    ] = None,
    settings: SetOption = None,
    perturbations: Annotated[
        int,
        typer.Option(min=0, help="Number of additional runs of every tracker, on boxes with small random errors."),
    ] = 0,
    every: Annotated[
        int,
        typer.Option(min=1, help="Use only every n-th frame, to see how trackers degrade at low frame rates."),
    ] = 1,
    peers: Annotated[bool, typer.Option(help="Run Ultralytics' trackers, and ByteTrack + clustering.")] = True,
    boxmot: Annotated[
        Path | None, typer.Option(help="Run boxmot's BoT-SORT with the Python of this environment.")
    ] = None,
    boxmot_weights: Annotated[Path, typer.Option(help="Re-identification network of boxmot.")] = Path(
        "osnet_x0_25_msmt17.pt"
    ),
    cache: Annotated[Path | None, typer.Option(help="Folder for saved detections and embeddings.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.", metavar="FILE")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Track the same saved detections with this project and with other trackers, and score all of them.

    Detections and embeddings are computed once for each set and saved. "Online" has the ids that are assigned while
    frames come in, "offline" those of the second pass over the whole recording. Single-camera trackers process the
    cameras one by one; in sets of several cameras, the tracks of ByteTrack are also joined by their mean embeddings.

    Example:

        mtmc benchmark trackers configs/benchmark/pets09.yaml --no-peers
    """
    # Imported here because they load TrackEval and its dependencies, which no other command should wait for.
    from pipeline.benchmark.boxmot_tracker import boxmot_peer
    from pipeline.benchmark.comparison import compare
    from pipeline.benchmark.ultralytics_trackers import bytetrack, ultralytics_peers

    others = ultralytics_peers() if peers else []
    if boxmot is not None:
        others.append(boxmot_peer(boxmot, boxmot_weights))

    def measure(chosen: BenchmarkSet, on_step: Callable[[str], None]) -> list[Contestant]:
        return compare(
            chosen,
            others,
            perturbations=perturbations,
            cache=cache or cache_folder() / "benchmark",
            every=every,
            clustered=replace(bytetrack(), name="ByteTrack") if peers else None,
            on_step=on_step,
        )

    measure_sets(sets, measure, settings=settings, every=every, markdown=markdown, json_file=json_file)


def measure_sets(
    sets: Sequence[Path] | None,
    measure: Callable[[BenchmarkSet, Callable[[str], None]], list[Contestant]],
    *,
    settings: Sequence[str] | None,
    every: int,
    markdown: Path | None,
    json_file: Path | None,
) -> None:
    """Print and write the tables of all sets.

    Args:
        sets: files; by default all of configs/benchmark.
        measure: called with a set and a function that takes progress messages; returns the rows of the set's table.
    """
    from pipeline.benchmark.benchmark_set import read_benchmark_set
    from pipeline.benchmark.report import ladder_table, set_table

    console = Console(markup=False)
    lines: list[str] = []
    figures: dict[str, object] = {}
    paths = sets or sorted(SETS.glob("*.yaml"))
    # All sets are read first, so that an error in the last one is reported at once and not after hours.
    chosen_sets = [read_benchmark_set(path, overrides_of(settings)) for path in paths]
    with console.status("") as status:
        for chosen, title in zip(chosen_sets, titles(paths, every), strict=True):
            found = measure(chosen, lambda text: status.update(escape(text)))
            table = set_table(title, found)
            if len(chosen.ground_truth) > 1:
                table += ["", *ladder_table(title, found)]
            if computed := sorted({text for contestant in found for text in contestant.computed_by}):
                table += ["", *(f"{text}  " for text in computed)]
            figures[title] = [contestant.to_dict() for contestant in found]
            lines += [*table, ""]
            console.print(Markdown("\n".join(table)))
            # Written after every set, so that results are kept if the next one fails.
            write_text(markdown, "\n".join(lines))
            write_json(json_file, figures)


def titles(paths: Sequence[Path], every: int) -> list[str]:
    """Return the title of each set in tables and figures: the name of its file, with the folder if names repeat.

    Args:
        every: interval of the frames used; 1 for all frames.
    """
    names = [path.stem for path in paths]
    told = [
        f"{path.resolve().parent.name}/{name}" if names.count(name) > 1 else name
        for path, name in zip(paths, names, strict=True)
    ]
    return told if every == 1 else [f"{name}, 1 frame in {every}" for name in told]
