"""Figures between cameras against tables worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from reid.evaluation.camera_pairs import evaluate_camera_pairs
from reid.evaluation.retrieval import LabelledFeatures


def at_angles(*rows: tuple[float, int, str]) -> LabelledFeatures:
    """Crops given as (angle in degrees, person, camera)."""
    angles = np.radians([row[0] for row in rows])
    return LabelledFeatures(
        features=np.stack([np.cos(angles), np.sin(angles)], axis=1),
        person_ids=np.array([row[1] for row in rows]),
        cameras=np.array([row[2] for row in rows]),
    )


# c2's crops lie between c10's; person 3 is seen by c3 alone, where nobody else of the others is
CROPS = at_angles((0, 1, "c10"), (40, 2, "c10"), (25, 1, "c2"), (50, 2, "c2"), (70, 3, "c3"))


def test_each_direction_is_a_data_set_of_its_own() -> None:
    figures = evaluate_camera_pairs(CROPS, CROPS)
    assert list(figures.directions) == [("c2", "c10"), ("c10", "c2")]
    # c2 -> c10: 25 is nearer to 40 (person 2) than to 0: second; 50 finds 40 first
    assert figures.directions["c2", "c10"].mean_average_precision == pytest.approx((1 / 2 + 1) / 2)
    assert figures.directions["c2", "c10"].rank(1) == 0.5
    # c10 -> c2: 0 finds 25 first, 40 finds 50 first
    assert figures.directions["c10", "c2"].mean_average_precision == 1.0
    assert figures.directions["c10", "c2"].queries == 2


def test_a_pair_is_the_mean_of_its_directions() -> None:
    figures = evaluate_camera_pairs(CROPS, CROPS)
    assert figures.pairs() == {
        ("c2", "c10"): pytest.approx({"mAP": 0.875, "mINP": 0.875, "rank1": 0.75, "rank5": 1.0, "rank10": 1.0})
    }
    as_json = figures.to_dict()
    assert as_json["camera_pairs"]["c2 - c10"]["mAP"] == pytest.approx(0.875)
    assert as_json["directions"]["c2 -> c10"]["mAP"] == pytest.approx(0.75)


def test_cameras_without_common_people_have_no_figures() -> None:
    crops = at_angles((0, 1, "c1"), (10, 2, "c2"))
    assert evaluate_camera_pairs(crops, crops).to_dict() == {"camera_pairs": {}, "directions": {}}
