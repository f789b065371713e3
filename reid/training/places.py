"""Leave-one-place-out evaluation: how good a recipe is at a place that took no part in the training.

Results on other people in the training's own cameras say little about other places, because a model also learns
properties of its cameras. Recipes are therefore chosen by these metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from reid.datasets import CropSet, ReidDataset
from reid.evaluation.retrieval import LabelledFeatures, evaluate_retrieval
from reid.training.config import SetConfig, TrainingConfig, parse_training_config


@dataclass(frozen=True)
class PlaceFigures:
    """Metrics of one network at one place, in [0, 1].

    Attributes:
        rank1_all, map_all: every crop is a query once; its gallery is all crops but those of its person in its own
            camera (Market-1501's protocol).
        rank1_between, map_between: the same, but the gallery is the crops of other cameras only.
    """

    rank1_all: float
    map_all: float
    rank1_between: float
    map_between: float

    @classmethod
    def mean(cls, figures: Mapping[str, PlaceFigures]) -> PlaceFigures:
        """Return the mean over places."""
        return cls(*np.mean([list(asdict(of_place).values()) for of_place in figures.values()], axis=0).tolist())

    def to_dict(self) -> dict[str, float]:
        """Return the metrics for JSON."""
        return asdict(self)


def places(config: TrainingConfig) -> list[str]:
    """Return the data sets that can be left out: those with known people.

    Raises:
        InputError: there are fewer than two.
    """
    names = [name for name, one in (config.data.sets or {}).items() if one.identities]
    if len(names) < 2:
        raise InputError(
            "leaving a place out needs at least two data sets with identities in data.sets, but there "
            f"{'is' if len(names) == 1 else 'are'} {', '.join(names) or 'none'}"
        )
    return names


def without_place(config: TrainingConfig, name: str) -> TrainingConfig:
    """Return the recipe for all data sets but one; their shares keep their proportions."""
    values: dict[str, Any] = config.model_dump(mode="json")
    sets = values["data"]["sets"]
    left = 1.0 - sets.pop(name)["share"]
    for one in sets.values():
        one["share"] /= left
    return parse_training_config(values, source=f"the configuration without {name}")


def crops_of_place(dataset: ReidDataset, settings: SetConfig, people: int) -> CropSet:
    """Return the evaluation crops of a place: those of up to `people` people seen by two cameras, evenly spaced.

    Raises:
        InputError: nobody is seen by two cameras.
    """
    crops = dataset.train if settings.cameras is None else dataset.train.of_cameras(settings.cameras)
    cameras_of: dict[int, set[str]] = {}
    for crop in crops.crops:
        cameras_of.setdefault(crop.person_id, set()).add(crop.camera)
    seen_twice = sorted(person for person, cameras in cameras_of.items() if len(cameras) > 1)
    if not seen_twice:
        raise InputError(f"{dataset.root}: nobody is in two cameras, so there is nothing to measure at this place")
    rows = np.linspace(0, len(seen_twice) - 1, min(people, len(seen_twice))).round().astype(int)
    return crops.of_persons(seen_twice[row] for row in rows.tolist())


def place_figures(features: LabelledFeatures) -> PlaceFigures:
    """Compute the metrics for the crops of one place."""
    overall = evaluate_retrieval(features, features)
    ranks, precisions, queries = [], [], []
    for camera in sorted(set(features.cameras.tolist())):
        own = features.cameras == camera
        if not np.isin(features.person_ids[own], features.person_ids[~own]).any():
            continue
        metrics = evaluate_retrieval(features[own], features[~own])
        ranks.append(metrics.rank(1))
        precisions.append(metrics.mean_average_precision)
        queries.append(metrics.queries)
    return PlaceFigures(
        rank1_all=overall.rank(1),
        map_all=overall.mean_average_precision,
        rank1_between=float(np.average(ranks, weights=queries)),
        map_between=float(np.average(precisions, weights=queries)),
    )
