"""Numbers in place of the limits that a configuration leaves to a calibration."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config.config import Config, load_config
from pipeline.config.match_limits import Calibration, with_calibration, with_limits_of
from pipeline.cross_camera.match_threshold import MatchThreshold


def threshold(max_cosine_distance: float) -> MatchThreshold:
    return MatchThreshold(max_cosine_distance, 0.001, 0.2, 0.01, 100, 1000)


CALIBRATION = Calibration(threshold(0.1), threshold(0.2), "crops", threshold(0.3), threshold(0.4))


def limits(config: Config) -> tuple[object, ...]:
    tracker, linker, second_pass = config.tracker, config.linker, config.second_pass
    return (
        tracker.max_cosine_distance,
        (linker.max_cosine_distance, linker.max_centred_cosine_distance),
        (second_pass.max_cosine_distance, second_pass.max_centred_cosine_distance),
    )


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
    assert limits(with_calibration(load_config(None, settings), calibration)) == expected


def test_half_known_cameras_have_a_limit_in_between() -> None:
    linker = with_calibration(load_config(), CALIBRATION).linker
    assert [linker.cosine_limit_at(weight) for weight in (0, 0.5, 1)] == pytest.approx([0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, (0.1, (0.2, 0.4), (0.2, 0.4)), id="nothing changed"),
        pytest.param({"linker": {"margin": 0.1}}, (0.1, (0.2, 0.4), (0.2, 0.4)), id="another setting"),
        pytest.param(
            {"linker": {"max_centred_cosine_distance": 0.5}}, (0.1, (0.2, 0.5), (0.2, 0.4)), id="a limit changed"
        ),
    ],
)
def test_a_configuration_that_is_read_again_keeps_the_limits_that_were_found(
    change: dict[str, Any], expected: tuple[object, ...]
) -> None:
    before = load_config()
    assert (
        limits(with_limits_of(with_calibration(before, CALIBRATION), before, load_config(None, change)))
        == expected
    )
