"""Runs this project on the saved detections of a benchmark set, with its decisions, in both stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.assembly import match_limits
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.contestants import Tracked, run_project
from pipeline.benchmark.saved_run import opened, saved_detections
from pipeline.core.decisions import Stage


def explained_runs(
    chosen: BenchmarkSet, cache: Path, on_step: Callable[[str], None] = lambda what: None
) -> Iterator[tuple[Stage, Tracked]]:
    """Yield the result of a run with online ids, and of one with those of the second pass.

    Args:
        cache: folder for saved detections and embeddings.
        on_step: called with a description of each step.
    """
    on_step(f"{chosen.name}: detecting and embedding")
    files = saved_detections(chosen, cache)
    for stage in Stage:
        on_step(f"{chosen.name}: {stage}")
        with opened(files, chosen.config.detector.confidence_min) as saved:
            embedder_hash = saved.detector.embedder_hash
            yield (
                stage,
                run_project(
                    chosen.config,
                    match_limits(chosen.config, embedder_hash),
                    saved.sources,
                    saved.detector,
                    embedder_hash,
                    second_pass=stage is Stage.SECOND_PASS,
                    explained=True,
                ),
            )
