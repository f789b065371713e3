"""Which tracks are fragments, and their confidence in the second pass and online."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.datatypes import Link, Tracklet
from pipeline.core.decisions import TrackKey
from pipeline.cross_camera.fragments import NOT_COMPARED, fragments
from tests.helpers.factories import make_second_pass, make_tracklet, one_hot

A, B, C = ("a", 1), ("b", 1), ("c", 1)
PERSON, STRANGER = one_hot(0), one_hot(1)


def path(begin_s: float, end_s: float, x_m: float) -> dict[str, np.ndarray]:
    """Somebody who stands at (x_m, 0)."""
    time_s = np.arange(begin_s, end_s, 0.25) + 0.125
    return {"floor_time_s": time_s, "floor_xy_m": np.stack([np.full(len(time_s), x_m), np.zeros(len(time_s))], 1)}


@pytest.mark.parametrize(
    ("ids", "described", "expected"),
    [
        pytest.param({A: 1, B: 2}, {A, B}, set(), id="everybody is described"),
        pytest.param({A: 1, B: 2, C: 3}, {B}, {A, C}, id="alone and not described"),
        pytest.param({A: 1, B: 1, C: 2}, {C}, set(), id="joined without a description"),
        pytest.param({}, set(), set(), id="no tracks"),
    ],
)
def test_a_fragment_is_alone_and_not_described(
    ids: dict[TrackKey, int], described: set[TrackKey], expected: set[TrackKey]
) -> None:
    links = {key: Link(global_id, 0.5) for key, global_id in ids.items()}
    assert fragments(links, described) == expected


@pytest.mark.parametrize(
    ("tracklets", "confidence"),
    [
        pytest.param([make_tracklet("a", 1, 0, 5, PERSON)], {A: 1.0}, id="described, and nobody else"),
        pytest.param([make_tracklet("a", 1, 0, 5)], {A: NOT_COMPARED}, id="not described, and nobody else"),
        pytest.param(
            [make_tracklet("a", 1, 0, 5), make_tracklet("b", 1, 2, 8, PERSON)],
            {A: NOT_COMPARED, B: 1.0},
            id="not described, beside somebody",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, **path(0, 5, 0)), make_tracklet("b", 1, 0, 5, **path(0, 5, 9))],
            {A: NOT_COMPARED, B: NOT_COMPARED},
            id="apart on the floor, which tells only that these are two",
        ),
    ],
)
def test_the_second_pass_is_not_sure_of_a_fragment(
    tracklets: list[Tracklet], confidence: dict[TrackKey, float]
) -> None:
    links = make_second_pass(("a", "b", "c")).link(tracklets)
    assert {key: link.confidence for key, link in links.items()} == confidence


def test_the_floor_alone_can_join_and_its_confidence_stays() -> None:
    together = [make_tracklet("a", 1, 0, 5, **path(0, 5, 0)), make_tracklet("b", 1, 0, 5, **path(0, 5, 0.1))]
    links = make_second_pass(("a", "b", "c")).link(together)
    assert {link.global_id for link in links.values()} == {1}
    assert all(link.confidence > 0.9 for link in links.values())
