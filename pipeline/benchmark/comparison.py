"""Every tracker on the boxes of one set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline.assembly import calibrated, close_sources, open_sources
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.contestants import Tracked, run_peer, run_project
from pipeline.benchmark.peer import Peer
from pipeline.benchmark.perturbed import PerturbedDetector
from pipeline.benchmark.report import Contestant
from pipeline.benchmark.saved_run import opened, saved_detections
from pipeline.evaluation import Scores, score


def compare(
    chosen: BenchmarkSet,
    others: Sequence[Peer],
    *,
    perturbations: int,
    cache: Path,
    on_step: Callable[[str], None] = lambda what: None,
) -> list[Contestant]:
    """The scores of `others`, then of this project online and offline.

    Args:
        perturbations: repeat each on so many versions of the boxes with small errors.
        cache: folder that keeps detections and embeddings.
        on_step: told in words what is being done.
    """
    done = 0

    def on_frame(camera_id: str) -> None:
        nonlocal done
        done += 1
        on_step(f"{chosen.name}: detecting and embedding, {done} frames")

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
        on_step(f"{chosen.name}: {name}")
        first = run_once(runner, None)
        perturbed = []
        for seed in range(perturbations):
            on_step(f"{chosen.name}: {name}, perturbed {seed + 1} of {perturbations}")
            perturbed.append(_score(chosen, run_once(runner, seed)).all_cameras)
        return Contestant(name, _score(chosen, first), first.ms_per_frame, perturbed)

    found = [contestant(peer.name, peer) for peer in others]
    found.append(contestant("mtmc, online", False))
    found.append(contestant("mtmc, offline", True))
    return found


def _score(chosen: BenchmarkSet, tracked: Tracked) -> Scores:
    return score(tracked.boxes, chosen.ground_truth)
