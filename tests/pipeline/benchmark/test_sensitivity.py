"""Curves of IDF1 over the limits: which limits there are, what a change does, and what the tables show."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.benchmark.sensitivity import FACTORS, Curve, own_limits, with_limit
from pipeline.benchmark.sensitivity_report import curves_table, plot_curves, summary_table
from pipeline.benchmark.ultralytics_trackers import limits_of_tracker
from pipeline.config.config import load_config
from pipeline.cross_camera.match_limits import LinkLimits, MatchLimits

LIMITS = MatchLimits(0.41, LinkLimits(0.48, 0.63, 0.36), LinkLimits(0.47, 0.62, 0.36))
CONFIG = load_config(None, {"cameras": [{"name": "hall", "source": "hall.mp4"}]})


def curve(tracker: str, limit: str, *percent: float | None) -> Curve:
    idf1 = {factor: None if value is None else value / 100 for factor, value in zip(FACTORS, percent, strict=True)}
    return Curve(tracker, limit, 0.5, idf1)


def test_limits_are_the_fractions_of_the_three_sections_with_calibrated_ones_as_numbers() -> None:
    found = own_limits(CONFIG, LIMITS)
    assert found["tracker.max_cosine_distance"] == 0.41
    assert found["linker.max_centred_cosine_distance"] == 0.63
    assert found["second_pass.max_cosine_distance"] == 0.47
    assert found["tracker.max_lost_s"] == CONFIG.tracker.max_lost_s
    # Counts, switches and lists are no limits.
    assert not {"linker.linkable_crops", "second_pass.enabled", "linker.transit_windows"} & set(found)


def test_without_centring_there_is_no_limit_for_it() -> None:
    limits = MatchLimits(0.4, LinkLimits(0.5, None, 0.36), LinkLimits(0.5, None, 0.36))
    assert "linker.max_centred_cosine_distance" not in own_limits(CONFIG, limits)


def test_only_the_named_limit_changes() -> None:
    changed = with_limit(CONFIG, "linker.margin", 0.03)
    assert changed is not None
    assert changed.linker.margin == 0.03
    assert changed.linker.model_copy(update={"margin": CONFIG.linker.margin}) == CONFIG.linker
    assert changed.tracker == CONFIG.tracker


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tracker.max_iou_distance_high", 1.2),  # a share
        ("tracker.new_track_confidence", 0.3),  # below high_confidence
        ("tracker.somebody_else_factor", 0.9),  # at least 1
    ],
)
def test_a_value_that_no_configuration_may_have_is_none(name: str, value: float) -> None:
    assert with_limit(CONFIG, name, value) is None


def test_spread_leaves_out_what_is_not_allowed() -> None:
    assert curve("mtmc", "linker.margin", 80.0, 82.0, 81.0, None, None).spread == pytest.approx(0.02)


def test_tables_put_the_widest_spread_first_and_count_what_is_above_two(tmp_path: Path) -> None:
    flat, steep = curve("mtmc", "flat", 80, 80, 80, 81, 80), curve("mtmc", "steep", 70, 75, 80, 80, None)
    other = curve("peer", "thresh", 50, 60, 60, 60, 58)
    table = curves_table("hall", [flat, steep, other])
    assert table[4:] == [
        "| mtmc | steep | 0.5 | 70.0 | 75.0 | 80.0 | 80.0 | – | 10.0 |",
        "| mtmc | flat | 0.5 | 80.0 | 80.0 | 80.0 | 81.0 | 80.0 | 1.0 |",
        "| peer | thresh | 0.5 | 50.0 | 60.0 | 60.0 | 60.0 | 58.0 | 10.0 |",
    ]
    assert summary_table({"hall": [flat, steep, other], "yard": [flat]})[2:] == [
        "| mtmc | 2 | 10.0 (1) | 1.0 (0) |",
        "| peer | 1 | 10.0 (1) | – |",
    ]
    plot_curves(tmp_path / "curves.png", {"hall": [flat, steep, other]})
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_limits_of_a_peer_are_the_fractions_in_its_settings_file() -> None:
    found = limits_of_tracker("bytetrack")
    assert {"track_high_thresh", "track_low_thresh", "new_track_thresh", "match_thresh"} <= set(found)
    assert "track_buffer" not in found
