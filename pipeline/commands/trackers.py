"""`mtmc benchmark trackers`: this project and others on the same boxes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.status import Status

from pipeline.assembly import calibrated, close_sources, open_sources
from pipeline.benchmark.benchmark_set import BenchmarkSet, read_benchmark_set
from pipeline.benchmark.boxmot_tracker import boxmot_peer
from pipeline.benchmark.contestants import Tracked, run_peer, run_project
from pipeline.benchmark.peer import Peer
from pipeline.benchmark.perturbed import PerturbedDetector
from pipeline.benchmark.report import Contestant, ladder_table, set_table
from pipeline.benchmark.saved_run import opened, saved_detections
from pipeline.benchmark.ultralytics_trackers import ultralytics_peers
from pipeline.commands.arguments import SetOption, overrides_of
from pipeline.commands.json_file import write_json
from pipeline.config import PROJECT_ROOT
from pipeline.evaluation import Scores, score
from pipeline.export_cache import cache_folder

SETS = PROJECT_ROOT / "configs" / "benchmark"


def trackers(
    sets: Annotated[
        list[Path] | None,
        typer.Argument(help="Benchmark sets (YAML); without any, those of configs/benchmark.", metavar="SET..."),
    ] = None,
    settings: SetOption = None,
    perturbations: Annotated[
        int, typer.Option(min=0, help="Repeat every tracker on so many versions of the boxes with small errors.")
    ] = 0,
    peers: Annotated[bool, typer.Option(help="Run the trackers of Ultralytics, too.")] = True,
    boxmot: Annotated[
        Path | None, typer.Option(help="Run boxmot's BoT-SORT with the Python of this environment.")
    ] = None,
    boxmot_weights: Annotated[Path | None, typer.Option(help="Its re-identification network.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps detections and embeddings.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.", metavar="FILE")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Track the same saved detections with this project and with others, and score all alike.

    Detections and embeddings are computed once for each set and kept. "Online" has the ids of the moment, "offline"
    those of the second pass over the whole recording. Trackers of one camera get the cameras one by one.

    Example:

        mtmc benchmark trackers configs/benchmark/pets09.yaml --no-peers
    """
    console = Console()
    others = ultralytics_peers() if peers else []
    if boxmot is not None:
        others.append(boxmot_peer(boxmot, boxmot_weights or Path("osnet_x0_25_msmt17.pt")))
    lines: list[str] = []
    figures: dict[str, object] = {}
    with console.status("") as status:
        for path in sets or sorted(SETS.glob("*.yaml")):
            chosen = read_benchmark_set(path, overrides_of(settings))
            found = _contestants(chosen, others, perturbations, cache or cache_folder() / "benchmark", status)
            table = set_table(chosen.name, found)
            if len(chosen.ground_truth) > 1:
                table += ["", *ladder_table(chosen.name, found)]
            figures[chosen.name] = [contestant.to_dict() for contestant in found]
            lines += [*table, ""]
            console.print(Markdown("\n".join(table)))
    if markdown is not None:
        markdown.write_text("\n".join(lines), encoding="utf-8")
    write_json(json_file, figures)


def _contestants(
    chosen: BenchmarkSet, others: Sequence[Peer], perturbations: int, cache: Path, status: Status
) -> list[Contestant]:
    done = 0

    def on_frame(camera_id: str) -> None:
        nonlocal done
        done += 1
        status.update(f"{chosen.name}: detecting and embedding, {done} frames")

    files = saved_detections(chosen, cache, on_frame)

    def run_once(runner: Peer | bool, seed: int | None) -> Tracked:
        with ExitStack() as stack:
            saved = stack.enter_context(opened(files, chosen.config.detector.confidence_min))
            detector = saved.detector if seed is None else PerturbedDetector(saved.detector, seed)
            if isinstance(runner, Peer):
                sources = saved.sources
                if runner.needs_pictures:
                    sources, _ = open_sources(chosen.config)
                    stack.callback(close_sources, sources)
                return run_peer(runner, sources, detector)
            config = calibrated(chosen.config, saved.detector.embedder_hash)
            return run_project(config, saved.sources, detector, saved.detector.embedder_hash, second_pass=runner)

    def contestant(name: str, runner: Peer | bool) -> Contestant:
        status.update(f"{chosen.name}: {name}")
        first = run_once(runner, None)
        perturbed = []
        for seed in range(perturbations):
            status.update(f"{chosen.name}: {name}, perturbed {seed + 1} of {perturbations}")
            perturbed.append(_score(chosen, run_once(runner, seed)).all_cameras)
        return Contestant(name, _score(chosen, first), first.ms_per_frame, perturbed)

    found = [contestant(peer.name, peer) for peer in others]
    found.append(contestant("mtmc, online", False))
    found.append(contestant("mtmc, offline", True))
    return found


def _score(chosen: BenchmarkSet, tracked: Tracked) -> Scores:
    return score(tracked.boxes, chosen.ground_truth)
