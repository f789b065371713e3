"""Numbers in place of the limits that a configuration leaves to a calibration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.config.calibration import Calibration, resolved_limits, with_numbers
from pipeline.config.config import load_config
from pipeline.cross_camera.match_threshold import MatchThreshold


def threshold(max_cosine_distance: float) -> MatchThreshold:
    return MatchThreshold(max_cosine_distance, 0.001, 0.2, 0.01, 100, 1000)


CALIBRATION = Calibration(threshold(0.1), threshold(0.2), "crops", threshold(0.3), threshold(0.4))


@pytest.mark.parametrize(
    ("settings", "calibration", "expected"),
    [
        pytest.param({}, CALIBRATION, (0.1, (0.2, 0.4), (0.2, 0.4)), id="all"),
        pytest.param({}, CALIBRATION.of_centred_embeddings(), (0.3, (0.4, 0.4), (0.4, 0.4)), id="stored means"),
        pytest.param(
            {}, Calibration(threshold(0.1), threshold(0.2), "old"), (0.1, (0.2, None), (0.2, None)), id="old"
        ),
        pytest.param({}, None, (0.25, (0.35, None), (0.35, None)), id="never calibrated"),
        pytest.param(
            {"linker": {"max_cosine_distance": 0.5}, "second_pass": {"max_centred_cosine_distance": None}},
            CALIBRATION,
            (0.1, (0.5, 0.4), (0.2, None)),
            id="numbers stay",
        ),
    ],
)
def test_limits(settings: dict[str, Any], calibration: Calibration | None, expected: tuple[object, ...]) -> None:
    found = resolved_limits(load_config(None, settings), calibration)
    assert (
        found.tracker,
        (found.linker.cosine, found.linker.centred_cosine),
        (found.second_pass.cosine, found.second_pass.centred_cosine),
    ) == expected


def test_half_known_cameras_have_a_limit_in_between() -> None:
    linker = resolved_limits(load_config(), CALIBRATION).linker
    assert [linker.at(weight) for weight in (0, 0.5, 1)] == pytest.approx([0.2, 0.3, 0.4])
    assert [replace(linker, centred_cosine=None).at(weight) for weight in (0, 0.5, 1)] == [0.2] * 3


def test_the_limits_that_were_used_are_noted_as_a_configuration_that_gives_them_again() -> None:
    config = load_config(None, {"linker": {"margin": 0.1}})
    limits = resolved_limits(config, CALIBRATION)
    noted = with_numbers(config, limits)
    assert noted["linker"]["max_centred_cosine_distance"] == 0.4
    again = load_config(None, {name: noted[name] for name in ("tracker", "linker", "second_pass")})
    assert again.linker.margin == 0.1
    assert resolved_limits(again, None) == limits
