"""Every tracker on the boxes of one set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from detectors.base import Detector
from pipeline.assembly import calibrated, close_sources, open_sources
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.contestants import Tracked, run_peer, run_project
from pipeline.benchmark.peer import Peer
from pipeline.benchmark.perturbed import PerturbedDetector
from pipeline.benchmark.report import Contestant
from pipeline.benchmark.saved_run import SavedRun, opened, saved_detections
from pipeline.evaluation import Scores, score

#: Of saved detections, perhaps perturbed, with the frames they belong to.
Run = Callable[[Detector, SavedRun], Tracked]


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
        others: those that look at pictures are left out of sets that have none.
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

    def peer(chosen_peer: Peer, detector: Detector, saved: SavedRun) -> Tracked:
        if not chosen_peer.needs_pictures:
            return run_peer(chosen_peer, saved.sources, detector)
        sources, _ = open_sources(chosen.config)
        try:
            return run_peer(chosen_peer, sources, detector)
        finally:
            close_sources(sources)

    def project(second_pass: bool, detector: Detector, saved: SavedRun) -> Tracked:
        embedder_hash = saved.detector.embedder_hash
        config = calibrated(chosen.config, embedder_hash)
        return run_project(config, saved.sources, detector, embedder_hash, second_pass=second_pass)

    def run_once(contestant: Run, seed: int | None) -> Tracked:
        with opened(files, chosen.config.detector.confidence_min) as saved:
            detector = saved.detector if seed is None else PerturbedDetector(saved.detector, seed)
            return contestant(detector, saved)

    def measured(name: str, contestant: Run) -> Contestant:
        on_step(f"{chosen.name}: {name}")
        first = run_once(contestant, None)
        perturbed = []
        for seed in range(perturbations):
            on_step(f"{chosen.name}: {name}, perturbed {seed + 1} of {perturbations}")
            perturbed.append(_score(chosen, run_once(contestant, seed)).all_cameras)
        return Contestant(name, _score(chosen, first), first.ms_per_frame, perturbed)

    if chosen.detections is not None:
        others = [other for other in others if not other.needs_pictures]
    found = [measured(other.name, partial(peer, other)) for other in others]
    found.append(measured("mtmc, online", partial(project, False)))
    found.append(measured("mtmc, offline", partial(project, True)))
    return found


def _score(chosen: BenchmarkSet, tracked: Tracked) -> Scores:
    return score(tracked.boxes, chosen.ground_truth)
