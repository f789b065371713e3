"""Which links are doubtful, in which order, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.datatypes import Link
from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage, TrackKey
from pipeline.recorded.people import TrackSpan, people_of
from pipeline.report.doubtful import Doubt, doubtful_links
from pipeline.report.run_data import RunData


def run_of(
    tracks: dict[TrackKey, tuple[int, float]], decisions: dict[TrackKey, Decision] | None, *, final: bool = True
) -> RunData:
    """A run with these tracks: key -> (global id, confidence)."""
    spans = [
        TrackSpan(
            *key, "person", 10.0 * number, 10.0 * number + 5, 20, 3, Link(global_id, confidence, final=final)
        )
        for number, (key, (global_id, confidence)) in enumerate(tracks.items())
    ]
    noted = None if decisions is None else {key: [decision] for key, decision in decisions.items()}
    return RunData(Path("run"), "complete", "", None, {}, people_of(spans), 0, 0, {}, {}, noted, [])


def decided(key: TrackKey, global_id: int, *candidates: Candidate, **more: object) -> Decision:
    values: dict[str, object] = {
        "stage": Stage.SECOND_PASS,
        "time_s": 0.0,
        "outcome": Outcome.LINKED,
        "reason": Reason.JOINED,
        "good_crops": 5,
        "limit": 0.6,
        "mean_weight": 0.0,
        "candidates": candidates,
        **more,
    }
    return Decision(camera_id=key[0], track_id=key[1], global_id=global_id, **values)  # type: ignore[arg-type]


A1, B1, A2, B2 = ("a", 1), ("b", 1), ("a", 2), ("b", 2)


def told(doubts: list[Doubt]) -> list[tuple[TrackKey, TrackKey | None, bool]]:
    return [
        (doubt.track.key, None if doubt.beside is None else doubt.beside.key, doubt.is_doubtful)
        for doubt in doubts
    ]


def test_the_least_sure_pair_comes_first_and_each_pair_once() -> None:
    run = run_of({A1: (1, 0.7), B1: (1, 0.8), A2: (2, 0.6), B2: (2, 0.95)}, None)
    doubts, count = doubtful_links(run)
    assert told(doubts) == [(A2, B2, True), (A1, B1, True)]
    assert count == 2
    assert doubts[0].reasons == ["Why is not recorded."]


def test_the_reason_names_the_rival_and_the_limit() -> None:
    own = Candidate(1, 0.5, 0.4, 0.8)
    rival = Candidate(2, 0.55, None, 0.92)
    far = Candidate(3, 0.9, None, 1.5)
    run = run_of(
        {A1: (1, 0.6), B1: (1, 0.99), A2: (2, 1.0)},
        {A1: decided(A1, 1, own, rival, far, joined=(B1,), good_crops=1)},
    )
    doubts, _ = doubtful_links(run)
    assert doubts[0].reasons == [
        "Joined with track b:1 (distance 0.50 of at most 0.60, 0.4 m apart on the floor).",
        "Person 2 is nearly as near (distance 0.55 of at most 0.60).",
        "This is 80 % of the limit.",
        "Only 1 good crop of it.",
    ]


@pytest.mark.parametrize(
    ("candidate", "reason", "beside", "is_doubtful"),
    [
        pytest.param(
            Candidate(1, 0.62, None, 1.03),
            "Person 1 is the nearest (distance 0.62 of at most 0.60).",
            A1,
            True,
            id="near",
        ),
        pytest.param(
            Candidate(1, 0.2, None, 0.33, Obstacle.SAME_TIME),
            "Person 1 looks the same (distance 0.20 of at most 0.60), but is impossible: same camera at the same time.",
            A1,
            True,
            id="looks the same",
        ),
        pytest.param(
            Candidate(1, 0.5, None, 0.83, Obstacle.SAME_TIME),
            None,
            None,
            True,
            id="impossible and different",
        ),
    ],
)
def test_a_track_alone_is_shown_beside_the_nearest(
    candidate: Candidate, reason: str | None, beside: TrackKey | None, is_doubtful: bool
) -> None:
    confidence = 0.55 if candidate.impossible is None or reason is None else 1.0
    run = run_of(
        {A1: (1, 0.99), A2: (2, confidence)},
        {A2: decided(A2, 2, candidate, outcome=Outcome.NEW, reason=Reason.NONE_WITHIN_LIMIT)},
    )
    doubts, _ = doubtful_links(run)
    assert told(doubts)[0] == (A2, beside, is_doubtful)
    expected = (
        ["With no other track: nobody is near enough to compare."]
        if reason is None
        else [
            "With no other track.",
            reason,
        ]
    )
    assert doubts[0].reasons == expected


def test_online_ids_are_not_taken_for_people_after_a_second_pass() -> None:
    online = decided(A2, 7, Candidate(1, 0.62, None, 1.03), outcome=Outcome.NEW, reason=Reason.ENDED_WAITING)
    online = Decision(**{**vars(online), "stage": Stage.ONLINE})
    for final, beside in ((True, None), (False, A1)):
        run = run_of({A1: (1, 0.99), A2: (2, 0.5)}, {A2: online}, final=final)
        doubts, _ = doubtful_links(run)
        assert told(doubts)[0] == (A2, beside, True)
        assert "Online id 1 is the nearest" in doubts[0].reasons[1]


def test_fragments_have_no_link_and_sure_links_are_few() -> None:
    tracks = {("a", number): (number // 2, 0.99) for number in range(2, 22)}
    doubts, count = doubtful_links(run_of(tracks, None))
    assert (len(doubts), count) == (3, 0)


def test_at_most_some_are_shown_and_all_are_counted() -> None:
    tracks = {("a", number): (number // 2, 0.5) for number in range(2, 102)}
    doubts, count = doubtful_links(run_of(tracks, None))
    assert (len(doubts), count) == (24, 50)
