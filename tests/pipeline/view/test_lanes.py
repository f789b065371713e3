"""The timeline in windows: filters, pages, and bars that cannot be told apart."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from pipeline.core.datatypes import Link
from pipeline.recorded.people import TrackSpan, people_of
from pipeline.view.lanes import Lanes, Wanted


def span(global_id: int, camera: str, track_id: int, start_s: float, end_s: float, crops: int = 3) -> TrackSpan:
    link = Link(global_id, 0.9 if crops else 0.0, final=True)
    return TrackSpan(camera, track_id, "person", start_s, end_s, 10, crops, link)


#        0    10   20   30   40
# id 1   aaaa      bbbbb
# id 2        a a                (two stays, 4 s apart)
# id 3                      b    (a fragment)
SPANS = [
    span(1, "a", 1, 0, 8),
    span(1, "b", 1, 20, 30),
    span(2, "a", 2, 10, 11),
    span(2, "a", 3, 15, 16),
    span(3, "b", 2, 35, 36, crops=0),
]
LANES = Lanes(people_of(SPANS), ["a", "b"])


@pytest.mark.parametrize(
    ("wanted", "bars", "total", "hidden"),
    [
        (Wanted(0, 40), {1: [(0, 0, 8), (1, 20, 30)], 2: [(0, 10, 11), (0, 15, 16)], 3: [(1, 35, 36)]}, 3, 0),
        (Wanted(9, 19), {2: [(0, 10, 11), (0, 15, 16)]}, 1, 0),
        (Wanted(8, 9), {1: [(0, 0, 8)]}, 1, 0),
        (Wanted(12, 14), {}, 0, 0),
        (Wanted(0, 40, fragments=False), {1: [(0, 0, 8), (1, 20, 30)], 2: [(0, 10, 11), (0, 15, 16)]}, 2, 1),
        (Wanted(0, 40, cameras=["b"]), {1: [(1, 20, 30)], 3: [(1, 35, 36)]}, 2, 0),
        (Wanted(0, 40, cameras=["unknown"]), {}, 0, 0),
        (Wanted(0, 40, ids=[2, 99]), {2: [(0, 10, 11), (0, 15, 16)]}, 1, 0),
        (Wanted(0, 40, first=1, count=1), {2: [(0, 10, 11), (0, 15, 16)]}, 3, 0),
        # 1/1000 of 10,000 s are 10 s: the two stays of id 2 are one bar, and the cameras of id 1 remain two.
        (Wanted(0, 10_000), {1: [(0, 0, 8), (1, 20, 30)], 2: [(0, 10, 16)], 3: [(1, 35, 36)]}, 3, 0),
    ],
)
def test_parts(wanted: Wanted, bars: dict[int, Any], total: int, hidden: int) -> None:
    part = LANES.part(wanted)
    assert {lane["global_id"]: [tuple(bar[:3]) for bar in lane["bars"]] for lane in part["lanes"]} == bars
    assert (part["total"], part["hidden_fragments"]) == (total, hidden)


def test_merged_bars_count_their_stays() -> None:
    (lane,) = LANES.part(Wanted(0, 10_000, ids=[2]))["lanes"]
    assert lane["bars"] == [[0, 10, 16, 0.9, True, 2, 2]]


def test_density_counts_who_is_in_view() -> None:
    assert LANES.density(4, 0, 40) == [1, 2, 1, 2]
    assert Lanes([], ["a"]).density(3, 0, 0) == [0, 0, 0]
    assert Lanes([], ["a"]).part(Wanted(0, 1))["lanes"] == []


def test_a_day_with_many_visits_is_quick() -> None:
    starts = np.random.default_rng(0).uniform(0, 86_400, 20_000).tolist()
    spans = [
        span(number // 20 + 1, "ab"[number % 2], number, start, start + 20) for number, start in enumerate(starts)
    ]
    lanes = Lanes(people_of(spans), ["a", "b"])
    begun_s = time.perf_counter()
    for hour in range(24):
        lanes.part(Wanted(3600 * hour, 3600 * (hour + 1)))
    assert time.perf_counter() - begun_s < 5
