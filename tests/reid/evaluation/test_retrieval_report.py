"""Reports of models: features to figures, and figures to tables."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reid.datasets import Crop, CropSet
from reid.evaluation.features import embed_draws
from reid.evaluation.retrieval_report import (
    camera_means,
    camera_table,
    centred_features,
    overall_table,
    retrieval_report,
)


def crops(*rows: tuple[int, int, str]) -> CropSet:
    """Rows of (angle in degrees, person, camera); the angle is the file's name."""
    return CropSet(tuple(Crop(Path(str(angle)), person, camera) for angle, person, camera in rows))


def embed(crops: CropSet) -> NDArray[Any]:
    angles = np.radians([float(str(crop.path)) for crop in crops.crops])
    return np.stack([3 * np.cos(angles), 3 * np.sin(angles)], axis=1)


def text(table: Table) -> str:
    target = io.StringIO()
    Console(file=target, width=120).print(table)
    return target.getvalue()


PEOPLE = crops((0, 1, "c1"), (40, 2, "c1"), (25, 1, "c2"), (50, 2, "c2"))


def test_every_crop_is_embedded_once_whatever_it_is_used_for() -> None:
    seen: list[CropSet] = []

    def embed_and_note(crops: CropSet) -> NDArray[Any]:
        seen.append(crops)
        return embed(crops)

    first, second = PEOPLE.of_cameras(["c1"]), PEOPLE.of_cameras(["c2"])
    draws = embed_draws([(first, PEOPLE), (second, first)], embed_and_note)
    assert [len(crops) for crops in seen] == [4]
    for (query, gallery), expected in zip(draws, [(first, PEOPLE), (second, first)], strict=True):
        for found, wanted in zip((query, gallery), expected, strict=True):
            np.testing.assert_array_equal(found.features, embed(wanted))
            assert found.person_ids.tolist() == [crop.person_id for crop in wanted.crops]
            assert found.cameras.tolist() == [crop.camera for crop in wanted.crops]
    ((query, gallery),) = embed_draws([(PEOPLE, PEOPLE)], embed)
    assert query is gallery


def test_several_draws_give_the_mean() -> None:
    query = crops((0, 1, "c0"), (90, 2, "c0"))
    good, bad = crops((5, 1, "c1"), (95, 2, "c1")), crops((80, 1, "c1"), (10, 2, "c1"))
    report = retrieval_report(embed_draws([(query, good), (query, bad)], embed))
    assert report.overall.mean_average_precision == pytest.approx((1 + 1 / 2) / 2)
    assert report.overall.cmc.tolist() == [0.5, 1.0]
    assert report.overall.queries == 2
    assert report.to_dict()["directions"] == {}


def test_tables_hold_the_figures_in_percent() -> None:
    report = retrieval_report(embed_draws([(PEOPLE, PEOPLE)], embed))
    # c1 -> c2: both right; c2 -> c1: 25 is nearer to 40 (person 2) than to 0
    between = text(camera_table({"ours": report, "theirs": report}, "pairs"))
    for label, figures in (
        ("c1 -> c2", "100.0 / 100.0"),
        ("c2 -> c1", "50.0 / 75.0"),
        ("c1 - c2, mean", "75.0 / 87.5"),
    ):
        (line,) = [line for line in between.splitlines() if label in line]
        assert line.count(figures) == 2, between
    overall = text(overall_table({"ours": report}, "all of them"))
    assert "all of them" in overall
    (line,) = [line for line in overall.splitlines() if "ours" in line]
    assert f"{100 * report.overall.mean_average_precision:.1f}" in line
    assert line.split()[-2] == "4"  # queries, before the border


def test_features_are_centred_camera_by_camera() -> None:
    features = embed(PEOPLE)
    means = camera_means(PEOPLE, features)
    unit = features / 3
    np.testing.assert_allclose(means["c1"], unit[:2].mean(axis=0), rtol=1e-6)
    centred = centred_features(PEOPLE, features, means)
    for row in range(len(centred)):
        apart = unit[row] - means["c1" if row < 2 else "c2"]
        np.testing.assert_allclose(centred[row] * np.linalg.norm(apart), apart, atol=1e-6)
        assert np.linalg.norm(centred[row]) == pytest.approx(1)


def test_cameras_without_a_mean_stay_as_they_are() -> None:
    features = embed(PEOPLE)
    centred = centred_features(PEOPLE, features, {"c1": np.array([1, 0], np.float32)})
    np.testing.assert_allclose(centred[2:], features[2:] / 3, rtol=1e-6)
    np.testing.assert_allclose(centred[0], [0, 0], atol=1e-6)
