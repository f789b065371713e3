"""Retrieval metrics of re-identification: mAP, CMC and mINP. numpy only.

Protocol of Zheng et al., ICCV 2015, as every published TransReID figure uses it: per query, gallery crops of the
same person in the same camera are dropped; the rest is ranked by squared Euclidean distance of L2-normalised
features; a query without a true match left is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CMC_LENGTH = 50
_ROWS_AT_ONCE = 512  # bounds the distance matrix: 512 x 82,161 (MSMT17's gallery) float32 is 168 MB


@dataclass(frozen=True, eq=False)
class RetrievalMetrics:
    """Means over the queries that have a true match.

    Attributes:
        mean_average_precision: in [0, 1].
        cmc: (K,) float64; cmc[k - 1] is the share of queries with a true match among their first k, K <= 50.
        mean_inverse_negative_penalty: mINP of Ye et al., TPAMI 2021: number of true matches / rank of the last.
        queries: how many queries counted.
        queries_without_match: how many were left out because no other camera shows the person.
    """

    mean_average_precision: float
    cmc: NDArray[np.float64]
    mean_inverse_negative_penalty: float
    queries: int
    queries_without_match: int

    def rank(self, k: int) -> float:
        """CMC at rank `k`, counted from 1; at the end of a gallery shorter than `k`, the last value."""
        return float(self.cmc[min(k, len(self.cmc)) - 1])

    def to_dict(self) -> dict[str, Any]:
        """The figures under the names of the field, for JSON."""
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
        features: (N, D) float, any length; L2-normalised here.
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


def evaluate_retrieval(query: LabelledFeatures, gallery: LabelledFeatures) -> RetrievalMetrics:
    """Search every query in the gallery; query and gallery may be the same crops (a crop never finds itself).

    Raises:
        ValueError: no query has a true match, so that there is nothing to average.
    """
    query_unit, gallery_unit = _unit_rows(query.features), _unit_rows(gallery.features)
    cmc_length = min(CMC_LENGTH, len(gallery.features))
    cmc_sum = np.zeros(cmc_length)
    average_precisions: list[float] = []
    inverse_penalties: list[float] = []
    for start in range(0, len(query_unit), _ROWS_AT_ONCE):
        rows = range(start, min(start + _ROWS_AT_ONCE, len(query_unit)))
        distance = 2.0 - 2.0 * query_unit[start : rows.stop] @ gallery_unit.T
        for row, row_distance in zip(rows, distance, strict=True):
            same_person = gallery.person_ids == query.person_ids[row]
            kept = ~(same_person & (gallery.cameras == query.cameras[row]))
            hits = same_person[kept][np.argsort(row_distance[kept], kind="stable")]
            ranks = np.flatnonzero(hits) + 1
            if len(ranks) == 0:
                continue
            average_precisions.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
            inverse_penalties.append(len(ranks) / float(ranks[-1]))
            cmc_sum[ranks[0] - 1 :] += 1
    queries = len(average_precisions)
    if queries == 0:
        raise ValueError("no query has a true match in another camera")
    return RetrievalMetrics(
        mean_average_precision=float(np.mean(average_precisions)),
        cmc=cmc_sum / queries,
        mean_inverse_negative_penalty=float(np.mean(inverse_penalties)),
        queries=queries,
        queries_without_match=len(query_unit) - queries,
    )


def _unit_rows(features: NDArray[Any]) -> NDArray[np.float32]:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (features / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit
