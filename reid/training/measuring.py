"""Retrieval metrics of a model during its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from reid.evaluation.features import evaluate_draws
from reid.evaluation.retrieval import mean_metrics
from reid.models.transreid import TransReID
from reid.training.data import Parts
from reid.training.transforms import EvaluationTransform


def measure(
    model: TransReID,
    parts: Parts,
    transform: EvaluationTransform,
    *,
    cameras: Sequence[str],
    views: Sequence[str],
    device: torch.device,
    batch_size: int,
    workers: int,
) -> dict[str, Any]:
    """Return retrieval metrics on the evaluation parts, with camera rows and with the row for unknown cameras.

    With several data sets, the metrics of each are under "sets", and their means under the same keys as for one
    data set. Empty if no data set has a part for evaluation.

    Args:
        cameras, views: names of the model's rows.
    """
    ways: dict[str, Sequence[str] | None] = {}
    if model.config.cameras:
        ways["known_cameras"] = cameras
    if model.config.unknown_row or not model.config.cameras:
        ways["unknown_cameras"] = None
    measured = [part for part in parts.sets if part.draws]
    figures = {
        part.name: {
            way: evaluate_draws(
                model,
                part.draws,
                transform,
                cameras=rows,
                views=views,
                device=device,
                batch_size=batch_size,
                workers=workers,
            )
            for way, rows in ways.items()
        }
        for part in measured
    }
    if not figures:
        return {}
    means: dict[str, Any] = {
        way: mean_metrics([figures[part.name][way] for part in measured]).to_dict() for way in ways
    }
    if len(parts.sets) > 1:
        means["sets"] = {
            name: {way: metrics.to_dict() for way, metrics in of_set.items()} for name, of_set in figures.items()
        }
    return means


def epoch_line(entry: dict[str, Any], epochs: int) -> str:
    """Return the log entry of an epoch as a line to print."""
    line = (
        f"epoch {entry['epoch']}/{epochs}: loss {entry['loss']:.3f}, accuracy {entry['accuracy']:.1%}, "
        f"{entry['network_share']:.0%} of the time in the network"
    )
    if entry.get("skipped_steps"):
        line += f", {entry['skipped_steps']} steps skipped so far (fp16 overflow)"
    for key in ("known_cameras", "unknown_cameras"):
        if key in entry:
            figures = entry[key]
            line += f"; {key.replace('_', ' ')} mAP {figures['mAP']:.1%}, rank-1 {figures['rank1']:.1%}"
    return line
