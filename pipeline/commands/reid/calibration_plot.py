"""Plots the distances of genuine and of impostor pairs as two histograms, with the match limit between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.cross_camera.match_threshold import Distances, MatchThreshold

_BINS = 60


def plot_distances(path: Path, kinds: Mapping[str, tuple[Distances, Distances, MatchThreshold]]) -> None:
    """Write a picture with one panel per kind of pair: (genuine distances, impostor distances, threshold)."""
    figure = Figure(figsize=(5.5 * len(kinds), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(1, len(kinds)))
    for axes, (name, (genuine, impostor, threshold)) in zip(panels, kinds.items(), strict=True):
        bins = np.linspace(0, max(float(genuine.max()), float(impostor.max())), _BINS)
        for distances, colour, label in (
            (genuine, "tab:green", "one person"),
            (impostor, "tab:red", "two people"),
        ):
            weights = np.full(len(distances), 100 / len(distances))
            axes.hist(distances, bins=bins, weights=weights, color=colour, alpha=0.5, label=label)
        limit = threshold.max_cosine_distance
        axes.axvline(limit, color="black", linestyle="--", label=f"limit {limit:.3f}")
        axes.set(
            title=f"{name}: {threshold.false_match_rate:.1%} false, {threshold.false_non_match_rate:.1%} missed",
            xlabel="cosine distance",
            ylabel="% of pairs",
        )
        axes.legend()
    figure.savefig(path, dpi=110)
