"""Runs and scores every tracker on the boxes of one set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
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
from pipeline.scoring.evaluation import score
from pipeline.scoring.scores import Scores
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
    runs = _Runs(chosen, files, every, perturbations, on_step)
    if chosen.detections is not None:
        others = [other for other in others if not other.needs_pictures]
    found = [runs.measured(other.name, partial(runs.peer, other)) for other in others]
    if clustered is not None and len(runs.truth) > 1 and runs.have_embeddings():
        joined = f"{clustered.name} + clustering"
        found.append(runs.measured(joined, partial(runs.at_calibrated_limit, clustered)))
        found.append(
            runs.measured(
                f"{joined}, best threshold chosen afterwards", partial(runs.at_best_threshold, clustered)
            )
        )
    sentences = [f"{name}, {model}: {text}" for model, text in computed_by(files).items()]
    for when, second_pass in (("online", False), ("offline", True)):
        own = partial(runs.project, second_pass)
        with_boxes = runs.with_perfect_boxes(runs.measured(f"{name}, {when}", own), own)
        found.append(replace(with_boxes, computed_by=sentences))
    return found


class _Runs:
    """Runs trackers on every n-th frame of a set and scores them.

    Args:
        files: saved detections by camera.
        every, perturbations, on_step: as in `compare`.

    Attributes:
        truth: camera -> ground truth in the frames that are used.
    """

    def __init__(
        self,
        chosen: BenchmarkSet,
        files: Mapping[str, Path],
        every: int,
        perturbations: int,
        on_step: Callable[[str], None],
    ) -> None:
        self._set = chosen
        self._files = files
        self._every = every
        self._perturbations = perturbations
        self._on_step = on_step
        self.truth = {camera: thinned_boxes(boxes, every) for camera, boxes in chosen.ground_truth.items()}

    def have_embeddings(self) -> bool:
        with self._opened() as saved:
            return saved.detector.embedding_dim is not None

    def peer(self, peer: Peer, detector: Detector, saved: SavedRun) -> Tracked:
        if not peer.needs_pictures:
            return run_peer(peer, self._thinned(saved.sources), detector)
        sources, _ = open_sources(self._set.config)
        try:
            return run_peer(peer, self._thinned(sources), detector)
        finally:
            close_sources(sources)

    def project(self, second_pass: bool, detector: Detector, saved: SavedRun) -> Tracked:
        embedder_hash = saved.detector.embedder_hash
        limits = match_limits(self._set.config, embedder_hash)
        sources = self._thinned(saved.sources)
        return run_project(self._set.config, limits, sources, detector, embedder_hash, second_pass=second_pass)

    def at_calibrated_limit(self, peer: Peer, detector: Detector, saved: SavedRun) -> Tracked:
        """Join the peer's tracks up to the calibrated match limit for two tracks."""
        limits = match_limits(self._set.config, saved.detector.embedder_hash)
        return self._clustered(peer, detector, saved).joined(limits.second_pass.cosine)

    def at_best_threshold(self, peer: Peer, detector: Detector, saved: SavedRun) -> Tracked:
        return self._clustered(peer, detector, saved).best_joined(self.truth)

    def measured(self, title: str, run: Run) -> Contestant:
        self._on_step(f"{self._set.name}: {title}")
        first, ms_per_frame = self._scored(run, lambda detector: detector)
        perturbed = []
        for seed in range(self._perturbations):
            self._on_step(f"{self._set.name}: {title}, perturbed {seed + 1} of {self._perturbations}")
            found, _ = self._scored(run, partial(PerturbedDetector, seed=seed))
            perturbed.append(found.all_cameras)
        return Contestant(title, first, ms_per_frame, perturbed)

    def with_perfect_boxes(self, contestant: Contestant, run: Run) -> Contestant:
        self._on_step(f"{self._set.name}: {contestant.name}, perfect boxes")
        perfect, _ = self._scored(run, partial(PerfectBoxes, ground_truth=self.truth))
        return replace(contestant, perfect_boxes=perfect.all_cameras)

    def _opened(self) -> AbstractContextManager[SavedRun]:
        return opened(self._files, self._set.config.detector.confidence_min)

    def _scored(self, run: Run, changed: Callable[[Detector], Detector]) -> tuple[Scores, float]:
        with self._opened() as saved:
            tracked = run(changed(saved.detector), saved)
        return score(tracked.boxes, self.truth), tracked.ms_per_frame

    def _thinned(self, sources: Sequence[FrameSource]) -> list[FrameSource]:
        return [PartOfSource(source, stride=self._every) for source in sources]

    def _clustered(self, peer: Peer, detector: Detector, saved: SavedRun) -> ClusteredPeer:
        config = self._set.config
        memory_s = config.linker.identity_memory_s
        return ClusteredPeer(peer, self._thinned(saved.sources), detector, config.tracker, memory_s)
