"""Leave one place out: how well a recipe makes people findable at a place that took no part in the training.

A figure on other people in the training's own cameras says little of others: a model learns its cameras, too, and
what they look like. Recipes are chosen by these figures.
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
    """Of one network at one place, shares of 1.

    Attributes:
        rank1_all, map_all: every crop is a query once, among all crops but those of its person in its own camera
            (Market-1501's protocol).
        rank1_between, map_between: the same among the crops of other cameras alone.
    """

    rank1_all: float
    map_all: float
    rank1_between: float
    map_between: float

    @classmethod
    def mean(cls, figures: Mapping[str, PlaceFigures]) -> PlaceFigures:
        """Over places."""
        return cls(*np.mean([list(asdict(of_place).values()) for of_place in figures.values()], axis=0).tolist())

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def places(config: TrainingConfig) -> list[str]:
    """The data sets that can be left out: those whose people are known.

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
    """The recipe on all other data sets, whose shares keep their proportions."""
    values: dict[str, Any] = config.model_dump(mode="json")
    sets = values["data"]["sets"]
    left = 1.0 - sets.pop(name)["share"]
    for one in sets.values():
        one["share"] /= left
    return parse_training_config(values, source=f"the configuration without {name}")


def crops_of_place(dataset: ReidDataset, settings: SetConfig, people: int) -> CropSet:
    """What is measured at a place: the crops of up to `people` of its people who are in two cameras, evenly spaced."""
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
    """Figures of the crops of one place."""
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
