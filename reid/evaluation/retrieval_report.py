"""Retrieval metrics of one or several models on a data set, over all crops and between cameras, and their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from pipeline.core import vectors
from pipeline.core.vectors import unit
from reid.datasets import CropSet
from reid.distances import Distance, squared_euclidean_distance
from reid.evaluation.camera_pairs import CameraPairMetrics, evaluate_camera_pairs
from reid.evaluation.retrieval import LabelledFeatures, RetrievalMetrics, evaluate_retrieval, mean_metrics

_FIGURES = (("mAP", "mAP"), ("mINP", "mINP"), ("rank1", "rank-1"), ("rank5", "rank-5"), ("rank10", "rank-10"))
_PAIRS_WITH_DIRECTIONS = 10  # with more camera pairs, a table shows only their means

DrawFeatures = tuple[LabelledFeatures, LabelledFeatures]
"""Features of query and gallery; the same object twice if they are the same crops."""


@dataclass(frozen=True, eq=False)
class RetrievalReport:
    """Metrics of one model.

    Attributes:
        overall: all queries, with all crops as gallery.
        between_cameras: each pair of cameras separately.
    """

    overall: RetrievalMetrics
    between_cameras: CameraPairMetrics

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics for JSON: "all", "camera_pairs" and "directions"."""
        return {"all": self.overall.to_dict(), **self.between_cameras.to_dict()}


def camera_means(crops: CropSet, features: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Return camera -> mean (D,) of the L2-normalised `features` (N, D) of its crops; needs no identities."""
    numbers = {name: number for number, name in enumerate(crops.cameras)}
    camera = np.array([numbers[crop.camera] for crop in crops.crops], np.int64)
    means = vectors.camera_means(unit(np.asarray(features, np.float32)), camera, len(numbers))
    return dict(zip(crops.cameras, means, strict=True))


def centred_features(
    crops: CropSet, features: NDArray[Any], means: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return L2-normalised features (N, D), centred by the mean of their camera if `means` has one."""
    embeddings = unit(np.asarray(features, np.float32))
    for row, crop in enumerate(crops.crops):
        if crop.camera in means:
            embeddings[row] = vectors.centred(embeddings[row], means[crop.camera])
    return embeddings


def retrieval_report(
    draws: Sequence[DrawFeatures], distance: Distance = squared_euclidean_distance
) -> RetrievalReport:
    """Evaluate features. For several draws, `overall` is the mean and there are no metrics between cameras.

    Raises:
        InputError: no person among the queries is seen by two cameras.
    """
    overall = mean_metrics([evaluate_retrieval(query, gallery, distance) for query, gallery in draws])
    if len(draws) > 1:
        return RetrievalReport(overall, CameraPairMetrics({}))
    return RetrievalReport(overall, evaluate_camera_pairs(*draws[0], distance))


def overall_table(reports: Mapping[str, RetrievalReport], title: str) -> Table:
    """Build a table with one row per model: all metrics over all crops."""
    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for _, heading in _FIGURES:
        table.add_column(heading, justify="right")
    table.add_column("queries", justify="right")
    for name, report in reports.items():
        figures = report.overall.to_dict()
        table.add_row(name, *(_percent(figures[key]) for key, _ in _FIGURES), str(figures["queries"]))
    return table


def camera_table(reports: Mapping[str, RetrievalReport], title: str) -> Table:
    """Build a table with one row per pair of cameras: rank-1 and mAP of every model."""
    first = next(iter(reports.values())).between_cameras
    table = Table(title=title, title_justify="left")
    table.add_column("query -> gallery", no_wrap=True)
    for name in reports:
        table.add_column(name, justify="right", overflow="fold", min_width=len("100.0 / 100.0"))

    def add(label: str, figures: Sequence[Mapping[str, float]]) -> None:
        table.add_row(label, *(f"{_percent(each['rank1'])} / {_percent(each['mAP'])}" for each in figures))

    pairs = [report.between_cameras.pairs() for report in reports.values()]
    for pair in first.pairs():
        if len(first.pairs()) <= _PAIRS_WITH_DIRECTIONS:
            for way in (pair, (pair[1], pair[0])):
                add(" -> ".join(way), [r.between_cameras.directions[way].to_dict() for r in reports.values()])
        add(f"{' - '.join(pair)}, mean", [of_model[pair] for of_model in pairs])
    add("all", [report.overall.to_dict() for report in reports.values()])
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
