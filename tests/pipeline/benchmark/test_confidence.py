"""Confidence beside the share of right links, counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.benchmark.confidence import (
    BIN_ENDS,
    Judged,
    JudgedLink,
    Kind,
    calibration_error,
    judge,
    reliability,
    to_dict,
)
from pipeline.benchmark.confidence_fit import ConfidenceMapping, fit, leave_one_out
from pipeline.benchmark.confidence_report import (
    SetConfidence,
    figures,
    left_out,
    left_out_table,
    places,
    reliability_table,
)
from pipeline.core.datatypes import Link
from pipeline.core.decisions import Outcome, Stage
from tests.helpers.decided_world import candidate, decision, world

ONLINE, FINAL = Stage.ONLINE, Stage.SECOND_PASS
LINKED, NEW, NOTHING = Outcome.LINKED, Outcome.NEW, Outcome.WITHOUT_EVIDENCE
A1, A2, A3, B1, B2 = ("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)


def links(*values: tuple[float, int], kind: Kind = Kind.LINKED) -> list[JudgedLink]:
    return [JudgedLink(kind, confidence, bool(right)) for confidence, right in values]


@pytest.mark.parametrize(
    ("values", "counted", "error"),
    [
        pytest.param([], {}, None, id="no link"),
        pytest.param([(0.0, 1), (0.0, 0)], {0.0: (2, 1)}, None, id="compared with nobody"),
        pytest.param([(1.0, 1), (1.0, 1)], {1.0: (2, 2)}, 0.0, id="sure and right"),
        pytest.param([(1.0, 0)], {1.0: (1, 0)}, 1.0, id="sure and wrong"),
        # Means .6 and .85: |.6 - .5| and |.85 - 1|, two links each.
        pytest.param(
            [(0.55, 1), (0.65, 0), (0.85, 1), (0.85, 1)], {0.7: (2, 1), 0.9: (2, 2)}, 0.125, id="two bins"
        ),
        pytest.param([(0.0, 0), (0.75, 1)], {0.0: (1, 0), 0.8: (1, 1)}, 0.25, id="0 has no part in the error"),
        pytest.param(
            [(0.5, 1), (0.501, 1), (0.9, 1), (0.901, 1), (0.99, 1), (0.991, 1)],
            {0.5: (1, 1), 0.7: (1, 1), 0.9: (1, 1), 0.95: (1, 1), 0.99: (1, 1), 1.0: (1, 1)},
            (0.5 + 0.499 + 0.1 + 0.099 + 0.01 + 0.009) / 6,
            id="an end belongs to its bin",
        ),
    ],
)
def test_bins_and_calibration_error(
    values: list[tuple[float, int]], counted: dict[float, tuple[int, int]], error: float | None
) -> None:
    bins = reliability(links(*values))
    assert {one.end: (one.links, one.right) for one in bins if one.links} == counted
    assert calibration_error(bins) == (error if error is None else pytest.approx(error))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1))))
def test_every_link_is_in_one_bin_and_the_error_is_a_share(values: list[tuple[float, int]]) -> None:
    bins = reliability(links(*values))
    assert sum(one.links for one in bins) == len(values)
    assert sum(one.right for one in bins) == sum(right for _, right in values)
    error = calibration_error(bins)
    assert error is None or 0 <= error <= 1


def test_links_online() -> None:
    """Person 1 founds id 1, person 2 is taken for person 1, person 1 returns and founds id 9; a fragment of person 3,
    who has no other track, has the right id; track b 2 follows nobody."""
    seen = {A1: (1, 0, (1, 1, 1)), A2: (2, 10, (1,)), A3: (1, 20, (9, 9)), B1: (3, 0, (4,)), B2: (7, 5, (5,))}
    told = [
        decision(A1, NEW, 1),
        decision(A2, LINKED, 1, candidate(1, 0.5), time_s=1.0),
        decision(A3, NEW, 9, candidate(1, 1.2), time_s=2.0),
        decision(B1, NOTHING, 4, time_s=3.0, good_crops=0),
        decision(B2, NEW, 5, time_s=4.0),
    ]
    sure = {A1: Link(1, 1.0), A2: Link(1, 0.7), A3: Link(9, 0.8), B1: Link(4, 0.0), B2: Link(5, 0.9)}
    tracked, truth = world(seen, told, sure)
    truth["b"] = truth["b"][truth["b"].ids != 7]
    judged = judge(tracked, truth, ONLINE)
    assert judged == Judged(
        [
            JudgedLink(Kind.FOUNDED, 1.0, right=True),
            JudgedLink(Kind.LINKED, 0.7, right=False),
            JudgedLink(Kind.FOUNDED, 0.8, right=False),
            JudgedLink(Kind.FRAGMENT, 0.0, right=True),
        ],
        follow_nobody=1,
    )
    # The last row of the track was written before it was linked.
    late = replace(tracked, links={**sure, A2: Link(8, 0.0)})
    assert judge(late, truth, ONLINE).not_stated == 1
    assert judge(late, truth, FINAL) == Judged([])


def test_links_of_the_second_pass() -> None:
    """Two tracks of person 1 are joined, a third one stays alone, and a track without a good crop is a fragment."""
    seen = {A1: (1, 0, (1, 1)), B1: (1, 10, (1,)), A2: (1, 20, (2,)), A3: (1, 30, (3,))}
    told = [
        decision(A1, LINKED, 1, stage=FINAL, joined=[B1]),
        decision(B1, LINKED, 1, stage=FINAL, joined=[A1]),
        decision(A2, NEW, 2, candidate(1, 1.1), stage=FINAL),
        decision(A3, NEW, 3, stage=FINAL, good_crops=0),
    ]
    sure = {A1: Link(1, 0.99), B1: Link(1, 0.98), A2: Link(2, 0.6), A3: Link(3, 0.0)}
    judged = judge(*world(seen, told, sure), FINAL)
    assert judged.links == [
        JudgedLink(Kind.LINKED, 0.99, right=True),
        JudgedLink(Kind.LINKED, 0.98, right=True),
        JudgedLink(Kind.FOUNDED, 0.6, right=False),
        JudgedLink(Kind.FRAGMENT, 0.0, right=False),
    ]


@given(
    st.floats(0.25, 4), st.floats(0.5, 1), st.lists(st.floats(0, 1, allow_subnormal=False), min_size=2, max_size=9)
)
def test_a_mapping_is_monotone_and_stays_in_0_to_1(power: float, ceiling: float, values: list[float]) -> None:
    mapped = ConfidenceMapping(power, ceiling)(np.sort(values))
    assert (np.diff(mapped) >= -1e-12).all()
    assert ((mapped >= 0) & (mapped <= ceiling)).all()
    assert ConfidenceMapping(power, ceiling)(np.array([0.0, 1.0])).tolist() == [0.0, ceiling]


def test_a_mapping_by_hand() -> None:
    """Odds 1 to 1 and 3 to 1; squared, the latter are 9 to 1."""
    values = np.array([0.5, 0.75])
    assert ConfidenceMapping()(values).tolist() == [0.5, 0.75]
    assert ConfidenceMapping(power=2)(values).tolist() == pytest.approx([0.5, 0.9])
    assert ConfidenceMapping(power=2, ceiling=0.5)(values).tolist() == pytest.approx([0.25, 0.45])


def test_the_fit_finds_the_share_that_is_right() -> None:
    """Links of confidence .75 that are right in 9 of 10 cases need odds of 9 to 1; the ceiling is not needed, because
    links of confidence .999 are never wrong."""
    place = links(*[(0.75, 1)] * 90, *[(0.75, 0)] * 10, *[(0.999, 1)] * 400)
    mapping = fit([place, place])
    assert mapping(np.array([0.75])) == pytest.approx(0.9, abs=0.01)
    # One in ten is wrong at any confidence.
    flat = links(*[(0.999, 1)] * 90, *[(0.999, 0)] * 10, *[(0.99, 1)] * 90, *[(0.99, 0)] * 10)
    assert fit([flat])(np.array([0.99, 0.999])) == pytest.approx([0.9, 0.9], abs=0.02)


def test_each_place_is_judged_with_the_fit_of_the_others() -> None:
    good, bad = links(*[(0.9, 1)] * 10), links(*[(0.9, 0)] * 5, *[(0.9, 1)] * 5)
    found = leave_one_out({"good": good, "bad": bad, "not compared": links((0.0, 1))})
    assert list(found) == ["good", "bad"]
    assert found["good"].mapping == fit([bad])
    assert (found["bad"].links, found["bad"].right) == (10, 0.5)
    assert found["bad"].error == pytest.approx(0.4)
    assert found["bad"].mapped_error > 0.4
    assert found["bad"].loss == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2)
    assert leave_one_out({"good": good}) == {}


def confidence_of(*recordings: str, right: int = 1) -> SetConfidence:
    judged = Judged([*links((0.9, right), (1.0, 1)), *links((0.0, 0), kind=Kind.FRAGMENT)], follow_nobody=2)
    return SetConfidence(frozenset(recordings), {ONLINE: judged, FINAL: Judged([])})


def test_sets_of_one_recording_are_one_place() -> None:
    sets = {
        "one": confidence_of("x"),
        "other": confidence_of("y"),
        "two": confidence_of("x"),
        "both": confidence_of("y", "z"),
    }
    assert places(sets) == {"one": ["one", "two"], "other": ["other", "both"]}
    assert places({**sets, "bridge": confidence_of("x", "z")}) == {"one": [*sets, "bridge"]}


def test_tables() -> None:
    sets = {"one": confidence_of("x"), "other": confidence_of("y", right=0)}
    assert reliability_table("all sets", sets.values()) == [
        "**all sets**",
        "",
        "| confidence | online: linked, right | online: founded, right | online: fragments | offline: linked, right "
        "| offline: founded, right | offline: fragments |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 0 (not compared) | – | – | 0 of 2 (0 %) | – | – | – |",
        "| above 0.8, up to 0.9 | 1 of 2 (50 %) | – | – | – | – | – |",
        "| above 0.99 | 2 of 2 (100 %) | – | – | – | – | – |",
        "| calibration error | 20.0 | – | – | – | – | – |",
        "",
        "Not judged: online: 4 tracks follow nobody, 0 ended before their link was written; offline: 0 tracks follow "
        "nobody, 0 ended before their link was written.",
    ]
    found = left_out(sets)
    table = left_out_table(found)
    assert [line.split(" | ")[:3] for line in table[4:]] == [
        ["| online", "one", "2 (100.0 %)"],
        ["| online", "other", "2 (50.0 %)"],
    ]
    assert left_out_table(left_out({"one": sets["one"]})) == []
    content = json.loads(json.dumps(figures(sets)))
    assert content["places"] == {"one": ["one"], "other": ["other"]}
    assert set(content["left_out"]["online"]) == {"one", "other"}
    assert to_dict(sets["one"].stages[ONLINE])["linked or founded"]["calibration_error"] == pytest.approx(0.05)
    assert len(content["sets"]["one"]["online"]["linked"]["bins"]) == len(BIN_ENDS)
