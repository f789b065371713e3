"""Retrieval metrics of re-identification: mAP, CMC and mINP. Needs only numpy.

Protocol of Zheng et al., ICCV 2015, which all published TransReID results use: For each query, gallery crops of the
same person in the same camera are dropped. The rest is ranked by squared Euclidean distance of L2-normalised
features. A query without a remaining true match is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from reid.distances import Distance, squared_euclidean_distance

CMC_LENGTH = 50


@dataclass(frozen=True, eq=False)
class RetrievalMetrics:
    """Means over the queries that have a true match.

    Attributes:
        mean_average_precision: in [0, 1].
        cmc: (K,) float64, K <= 50; cmc[k - 1] is the share of queries with a true match among the first k crops.
        mean_inverse_negative_penalty: mINP of Ye et al., TPAMI 2021: number of true matches / rank of the last one.
        queries: number of queries counted.
        queries_without_match: number of queries left out because no other camera shows the person.
    """

    mean_average_precision: float
    cmc: NDArray[np.float64]
    mean_inverse_negative_penalty: float
    queries: int
    queries_without_match: int

    def rank(self, k: int) -> float:
        """Return the CMC at rank `k`, counted from 1; the last value if the gallery is shorter than `k`."""
        return float(self.cmc[min(k, len(self.cmc)) - 1])

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics for JSON, under their usual names."""
        return {
            "mAP": self.mean_average_precision,
            "mINP": self.mean_inverse_negative_penalty,
            "rank1": self.rank(1),
            "rank5": self.rank(5),
            "rank10": self.rank(10),
            "queries": self.queries,
            "queries_without_match": self.queries_without_match,
        }


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """Features with their labels, as parallel arrays.

    Attributes:
        features: (N, D) float, any length.
        person_ids: (N,) int.
        cameras: (N,), names or numbers; compared for equality only.
    """

    features: NDArray[Any]
    person_ids: NDArray[np.int64]
    cameras: NDArray[Any]

    def __post_init__(self) -> None:
        n = len(self.features)
        if self.features.ndim != 2 or self.person_ids.shape != (n,) or self.cameras.shape != (n,):
            raise ValueError(
                "expected features (N, D), person_ids (N,) and cameras (N,), but got "
                f"{self.features.shape}, {self.person_ids.shape} and {self.cameras.shape}"
            )

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: NDArray[np.bool_]) -> LabelledFeatures:
        """Return the features at `rows`, a boolean mask (N,)."""
        return LabelledFeatures(self.features[rows], self.person_ids[rows], self.cameras[rows])


def evaluate_retrieval(
    query: LabelledFeatures, gallery: LabelledFeatures, distance: Distance = squared_euclidean_distance
) -> RetrievalMetrics:
    """Search every query in the gallery; query and gallery may be the same crops (a crop never finds itself).

    Raises:
        InputError: no query has a true match, so there is nothing to average.
    """
    cmc_sum = np.zeros(min(CMC_LENGTH, len(gallery.features)))
    average_precisions: list[float] = []
    inverse_penalties: list[float] = []
    blocks = distance(query.features, gallery.features)
    rows = (row for block in blocks for row in block)
    for index, row_distances in enumerate(rows):
        kept = comparable(query, index, gallery)
        hits = (gallery.person_ids == query.person_ids[index])[kept]
        ranks = np.flatnonzero(hits[np.argsort(row_distances[kept], kind="stable")]) + 1
        if len(ranks) == 0:
            continue
        average_precisions.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
        inverse_penalties.append(len(ranks) / float(ranks[-1]))
        cmc_sum[ranks[0] - 1 :] += 1
    queries = len(average_precisions)
    if queries == 0:
        raise InputError(
            "no query has a true match in another camera, so nothing can be measured: give crops of people seen by "
            "at least two cameras"
        )
    return RetrievalMetrics(
        mean_average_precision=float(np.mean(average_precisions)),
        cmc=cmc_sum / queries,
        mean_inverse_negative_penalty=float(np.mean(inverse_penalties)),
        queries=queries,
        queries_without_match=len(query.features) - queries,
    )


def mean_metrics(metrics: Sequence[RetrievalMetrics]) -> RetrievalMetrics:
    """Average the metrics over random draws of a gallery; the numbers of queries are those of the first draw."""
    length = min(len(each.cmc) for each in metrics)
    return RetrievalMetrics(
        mean_average_precision=float(np.mean([each.mean_average_precision for each in metrics])),
        cmc=np.mean([each.cmc[:length] for each in metrics], axis=0),
        mean_inverse_negative_penalty=float(np.mean([each.mean_inverse_negative_penalty for each in metrics])),
        queries=metrics[0].queries,
        queries_without_match=metrics[0].queries_without_match,
    )


def comparable(query: LabelledFeatures, index: int, gallery: LabelledFeatures) -> NDArray[np.bool_]:
    """Return (G,), the gallery crops that query `index` is compared with: all but its own person in its own camera."""
    same_person = gallery.person_ids == query.person_ids[index]
    same_camera = gallery.cameras == query.cameras[index]
    return np.asarray(~(same_person & same_camera), np.bool_)
