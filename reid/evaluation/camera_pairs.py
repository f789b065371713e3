"""Retrieval metrics for each pair of cameras: queries of one camera, gallery of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.datasets.base import natural_order
from reid.distances import Distance, squared_euclidean_distance
from reid.evaluation.retrieval import LabelledFeatures, RetrievalMetrics, evaluate_retrieval

MEAN_FIGURES = ("mAP", "mINP", "rank1", "rank5", "rank10")


@dataclass(frozen=True, eq=False)
class CameraPairMetrics:
    """Metrics between cameras, each pair evaluated as a separate data set.

    Attributes:
        directions: maps (query camera, gallery camera) to the metrics of the first camera's queries in a gallery of
            only the second camera, in natural order. Pairs without a person seen by both cameras are left out.
    """

    directions: Mapping[tuple[str, str], RetrievalMetrics]

    def pairs(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return for each pair of cameras the means of both directions, under the names in `MEAN_FIGURES`."""
        means = {}
        for (first, second), there in self.directions.items():
            back = self.directions.get((second, first))
            if back is not None and natural_order(first) < natural_order(second):
                both = there.to_dict(), back.to_dict()
                means[first, second] = {name: float(np.mean([way[name] for way in both])) for name in MEAN_FIGURES}
        return means

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics for JSON: "camera_pairs" ("c1 - c2" -> means) and "directions" ("c1 -> c2" -> metrics)."""
        return {
            "camera_pairs": {" - ".join(pair): figures for pair, figures in self.pairs().items()},
            "directions": {" -> ".join(way): metrics.to_dict() for way, metrics in self.directions.items()},
        }


def evaluate_camera_pairs(
    query: LabelledFeatures, gallery: LabelledFeatures, distance: Distance = squared_euclidean_distance
) -> CameraPairMetrics:
    """Search the queries of every camera in every other camera; camera names must be strings."""
    directions = {}
    for query_camera in sorted(set(query.cameras.tolist()), key=natural_order):
        asked = query[query.cameras == query_camera]
        for gallery_camera in sorted(set(gallery.cameras.tolist()) - {query_camera}, key=natural_order):
            searched = gallery[gallery.cameras == gallery_camera]
            if np.isin(asked.person_ids, searched.person_ids).any():
                directions[query_camera, gallery_camera] = evaluate_retrieval(asked, searched, distance)
    return CameraPairMetrics(directions)
