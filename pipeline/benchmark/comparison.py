"""Runs and scores every tracker on the boxes of one set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.assembly import close_sources, match_limits, open_sources
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.clustered_peer import ClusteredPeer
from pipeline.benchmark.contestants import Tracked, run_peer, run_project
from pipeline.benchmark.peer import Peer
from pipeline.benchmark.perfect_boxes import PerfectBoxes
from pipeline.benchmark.perturbed import PerturbedDetector
from pipeline.benchmark.report import Contestant
from pipeline.benchmark.saved_run import SavedRun, computed_by, opened, saved_detections
from pipeline.core.models import Detector
from pipeline.files.track_boxes import thinned_boxes
from pipeline.scoring.evaluation import Scores, score
from pipeline.sources.base import FrameSource
from pipeline.sources.part import PartOfSource

#: Runs a tracker on saved detections, possibly perturbed, and on their frames.
Run = Callable[[Detector, SavedRun], Tracked]


def compare(
    chosen: BenchmarkSet,
    others: Sequence[Peer],
    *,
    perturbations: int,
    cache: Path,
    every: int = 1,
    clustered: Peer | None = None,
    name: str = "mtmc",
    boxes: Mapping[str, Path] | None = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> list[Contestant]:
    """Return the scores of `others`, then of this project online and offline.

    Args:
        others: trackers of other projects; those that need pictures are left out if the set has none.
        perturbations: number of additional runs of each tracker, on boxes with small random errors.
        cache: folder for saved detections and embeddings.
        every: use only every n-th frame.
        clustered: in sets of several cameras with embeddings, the tracks of this peer are also joined by appearance.
        name: name of this project in the table.
        boxes: saved boxes to embed, instead of those that the detector would find.
        on_step: called with a description of each step.
    """
    done = 0

    def on_frame(camera_id: str) -> None:
        nonlocal done
        done += 1
        on_step(f"{chosen.name}: detecting and embedding, {done} frames")

    files = saved_detections(chosen, cache, on_frame, boxes)
    truth = {name: thinned_boxes(boxes, every) for name, boxes in chosen.ground_truth.items()}

    def thinned(sources: Sequence[FrameSource]) -> list[FrameSource]:
        return [PartOfSource(source, stride=every) for source in sources]

    def peer(chosen_peer: Peer, detector: Detector, saved: SavedRun) -> Tracked:
        if not chosen_peer.needs_pictures:
            return run_peer(chosen_peer, thinned(saved.sources), detector)
        sources, _ = open_sources(chosen.config)
        try:
            return run_peer(chosen_peer, thinned(sources), detector)
        finally:
            close_sources(sources)

    def project(second_pass: bool, detector: Detector, saved: SavedRun) -> Tracked:
        embedder_hash = saved.detector.embedder_hash
        limits = match_limits(chosen.config, embedder_hash)
        sources = thinned(saved.sources)
        return run_project(chosen.config, limits, sources, detector, embedder_hash, second_pass=second_pass)

    def clustering(first: Peer, detector: Detector, saved: SavedRun) -> tuple[ClusteredPeer, float]:
        """Return the peer's tracks, and the calibrated match limit for two tracks."""
        config = chosen.config
        limits = match_limits(config, saved.detector.embedder_hash)
        memory_s = config.linker.identity_memory_s
        peer_run = ClusteredPeer(first, thinned(saved.sources), detector, config.tracker, memory_s)
        return peer_run, limits.second_pass.cosine

    def at_calibrated_limit(first: Peer, detector: Detector, saved: SavedRun) -> Tracked:
        peer_run, limit = clustering(first, detector, saved)
        return peer_run.joined(limit)

    def at_best_threshold(first: Peer, detector: Detector, saved: SavedRun) -> Tracked:
        peer_run, _ = clustering(first, detector, saved)
        return peer_run.best_joined(truth)

    def scored(contestant: Run, worse: Callable[[Detector], Detector]) -> tuple[Scores, float]:
        with opened(files, chosen.config.detector.confidence_min) as saved:
            tracked = contestant(worse(saved.detector), saved)
        return score(tracked.boxes, truth), tracked.ms_per_frame

    def measured(title: str, contestant: Run) -> Contestant:
        on_step(f"{chosen.name}: {title}")
        first, ms_per_frame = scored(contestant, lambda detector: detector)
        perturbed = []
        for seed in range(perturbations):
            on_step(f"{chosen.name}: {title}, perturbed {seed + 1} of {perturbations}")
            found, _ = scored(contestant, partial(PerturbedDetector, seed=seed))
            perturbed.append(found.all_cameras)
        return Contestant(title, first, ms_per_frame, perturbed)

    def with_perfect_boxes(contestant: Contestant, run: Run) -> Contestant:
        on_step(f"{chosen.name}: {contestant.name}, perfect boxes")
        perfect, _ = scored(run, partial(PerfectBoxes, ground_truth=truth))
        return replace(contestant, perfect_boxes=perfect.all_cameras)

    sentences = [f"{name}, {model}: {text}" for model, text in computed_by(files).items()]
    if chosen.detections is not None:
        others = [other for other in others if not other.needs_pictures]
    found = [measured(other.name, partial(peer, other)) for other in others]
    with opened(files, chosen.config.detector.confidence_min) as saved:
        embedded = saved.detector.embedding_dim is not None
    if clustered is not None and embedded and len(truth) > 1:
        joined = f"{clustered.name} + clustering"
        found.append(measured(joined, partial(at_calibrated_limit, clustered)))
        found.append(
            measured(f"{joined}, best threshold chosen afterwards", partial(at_best_threshold, clustered))
        )
    for when, second_pass in (("online", False), ("offline", True)):
        own = partial(project, second_pass)
        with_boxes = with_perfect_boxes(measured(f"{name}, {when}", own), own)
        found.append(replace(with_boxes, computed_by=sentences))
    return found
