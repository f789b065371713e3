"""How well people of one camera are found in another, for every two cameras."""

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
    """Figures between cameras, each pair as a data set of its own.

    Attributes:
        directions: (query camera, gallery camera) -> the queries of the first among the crops of the second alone;
            without those directions in which nobody is seen by both. In natural order.
    """

    directions: Mapping[tuple[str, str], RetrievalMetrics]

    def pairs(self) -> dict[tuple[str, str], dict[str, float]]:
        """Of each two cameras the means of both directions, under the names of `MEAN_FIGURES`."""
        means = {}
        for (first, second), there in self.directions.items():
            back = self.directions.get((second, first))
            if back is not None and natural_order(first) < natural_order(second):
                both = there.to_dict(), back.to_dict()
                means[first, second] = {name: float(np.mean([way[name] for way in both])) for name in MEAN_FIGURES}
        return means

    def to_dict(self) -> dict[str, Any]:
        """For JSON: "camera_pairs" ("c1 - c2" -> means) and "directions" ("c1 -> c2" -> figures)."""
        return {
            "camera_pairs": {" - ".join(pair): figures for pair, figures in self.pairs().items()},
            "directions": {" -> ".join(way): metrics.to_dict() for way, metrics in self.directions.items()},
        }


def evaluate_camera_pairs(
    query: LabelledFeatures, gallery: LabelledFeatures, distance: Distance = squared_euclidean_distance
) -> CameraPairMetrics:
    """Search the queries of every camera in every other camera; the cameras' names are texts."""
    directions = {}
    for query_camera in sorted(set(query.cameras.tolist()), key=natural_order):
        asked = query[query.cameras == query_camera]
        for gallery_camera in sorted(set(gallery.cameras.tolist()) - {query_camera}, key=natural_order):
            searched = gallery[gallery.cameras == gallery_camera]
            if np.isin(asked.person_ids, searched.person_ids).any():
                directions[query_camera, gallery_camera] = evaluate_retrieval(asked, searched, distance)
    return CameraPairMetrics(directions)
