"""What the second pass says about the tracks that it joined or kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.datatypes import Tracklet
from pipeline.core.decisions import Decision, Obstacle, Outcome, Reason, Stage, TrackKey
from pipeline.cross_camera.second_pass_log import SecondPassLog
from tests.helpers.factories import (
    at_distance,
    linker_settings,
    make_second_pass,
    make_tracklet,
    one_hot,
    second_pass_settings,
)
from tests.pipeline.cross_camera.test_online_linker import window

CAMERAS = ("a", "b", "c")
PERSON = one_hot(0)


def explained(tracklets: Sequence[Tracklet], *, at_once: int = 1000, **linker: Any) -> dict[TrackKey, Decision]:
    """The decision about each track; the log leaves the links as they are."""
    chosen = second_pass_settings(max_cosine_distance=0.35, max_tracklets_at_once=at_once)
    log = SecondPassLog()
    links = make_second_pass(CAMERAS, chosen, linker_settings(**linker), log).link(tracklets)
    assert links == make_second_pass(CAMERAS, chosen, linker_settings(**linker)).link(tracklets)
    decisions = {one.key: one for one in log.decisions(links)}
    assert {key: one.global_id for key, one in decisions.items()} == {
        key: link.global_id for key, link in links.items()
    }
    return decisions


def test_joined_tracks_name_each_other_and_their_distance() -> None:
    found = explained([make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 4, 9, 12, at_distance(0.2)[None])])
    one = found["b", 4]
    assert (one.stage, one.outcome, one.reason) == (Stage.SECOND_PASS, Outcome.LINKED, Reason.JOINED)
    assert (one.time_s, one.good_crops, one.limit, one.joined) == (12, 1, 0.35, (("a", 1),))
    (own,) = one.candidates
    assert (own.global_id, own.impossible) == (1, None)
    assert own.cosine_distance == pytest.approx(0.2)
    assert own.cost == pytest.approx(0.2 / 0.35)
    assert found["a", 1].joined == (("b", 4),)


def far() -> list[Tracklet]:
    return [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 4, 9, 12, at_distance(0.6)[None])]


def same_camera() -> list[Tracklet]:
    return [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("a", 2, 4, 12, PERSON)]


def later() -> list[Tracklet]:
    return [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 4, 9, 12, PERSON)]


def classes() -> list[Tracklet]:
    return [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 4, 9, 12, PERSON, class_id=2)]


def places(x_m: float, second_s: float) -> list[Tracklet]:
    times = (0.0, 0.3, 0.6, 0.9)
    return [
        make_tracklet("a", 1, 0, 5, PERSON, floor_time_s=times, floor_xy_m=[(0, 0)] * 4),
        make_tracklet(
            "b",
            4,
            second_s,
            second_s + 5,
            PERSON,
            floor_time_s=[second_s + time_s for time_s in times],
            floor_xy_m=[(x_m, 0)] * 4,
        ),
    ]


@pytest.mark.parametrize(
    ("tracklets", "linker", "obstacle"),
    [
        pytest.param(far(), {}, None, id="the limit"),
        pytest.param(same_camera(), {}, Obstacle.SAME_TIME, id="one camera at once"),
        pytest.param(
            later(), {"transit_windows": [window("a", "b", 9, 20)]}, Obstacle.TRANSIT_TIME, id="too early"
        ),
        pytest.param(later(), {"transit_windows": [window("a", "b", 1, 2)]}, Obstacle.TRANSIT_TIME, id="too late"),
        pytest.param(later(), {"identity_memory_s": 3.0}, Obstacle.ABSENCE, id="away for too long"),
        pytest.param(classes(), {}, Obstacle.ANOTHER_CLASS, id="classes"),
        pytest.param(places(50, 0.0), {}, Obstacle.APART, id="two places at once"),
        pytest.param(places(500, 6.0), {}, Obstacle.TOO_FAR, id="too far to walk"),
    ],
)
def test_a_track_that_stays_alone_names_what_keeps_it_apart(
    tracklets: list[Tracklet], linker: dict[str, Any], obstacle: Obstacle | None
) -> None:
    for one in explained(tracklets, **linker).values():
        assert one.outcome is Outcome.NEW
        assert one.reason is (Reason.NONE_WITHIN_LIMIT if obstacle is None else Reason.ALL_IMPOSSIBLE)
        assert [candidate.impossible for candidate in one.candidates] == [obstacle]
        assert one.joined == ()


def test_tracks_without_evidence() -> None:
    found = explained([make_tracklet("a", 1), make_tracklet("b", 4, 9, 12, PERSON)])
    assert (found["a", 1].reason, found["a", 1].candidates) == (Reason.ENDED_FEW_CROPS, ())
    assert (found["b", 4].reason, found["b", 4].candidates) == (Reason.NO_CANDIDATE, ())


def test_another_track_of_the_person_can_exclude_a_candidate() -> None:
    """Track b 1 looks like both; it joins a 1, which a 2 cannot join."""
    found = explained(
        [
            make_tracklet("a", 1, 0, 5, PERSON),
            make_tracklet("a", 2, 0, 5, at_distance(0.3)[None]),
            make_tracklet("b", 1, 9, 12, at_distance(0.02)[None]),
        ]
    )
    assert [one.impossible for one in found["b", 1].candidates] == [None, Obstacle.OTHER_TRACKS]


def test_people_who_left_the_window_are_found_again() -> None:
    tracklets = [make_tracklet("a", 1, 0, 1, PERSON)]
    tracklets += [
        make_tracklet("b", number, 3 * number, 3 * number + 1, one_hot(number)) for number in range(1, 7)
    ]
    tracklets += [make_tracklet("c", 1, 30, 31, at_distance(0.1)[None])]
    found = explained(tracklets, at_once=4)
    assert found["c", 1].global_id == found["a", 1].global_id
    assert (found["c", 1].reason, found["a", 1].reason) == (Reason.FOUND_AGAIN, Reason.FOUND_AGAIN)
    assert found["c", 1].candidates[0].cosine_distance == pytest.approx(0.1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(CAMERAS), st.floats(0, 60), st.floats(0.5, 9), st.integers(0, 4)),
        min_size=1,
        max_size=14,
    ),
    st.sampled_from([4, 1000]),
)
def test_every_track_has_one_decision_and_no_candidate_twice(
    tracks: list[tuple[str, float, float, int]], at_once: int
) -> None:
    tracklets = [
        make_tracklet(camera, number, start_s, start_s + length_s, one_hot(person))
        for number, (camera, start_s, length_s, person) in enumerate(tracks, start=1)
    ]
    tracklets.sort(key=lambda tracklet: tracklet.end_s)
    found = explained(tracklets, at_once=at_once, identity_memory_s=20.0)
    assert found.keys() == {tracklet.key for tracklet in tracklets}
    for one in found.values():
        ids = [candidate.global_id for candidate in one.candidates]
        assert len(set(ids)) == len(ids)
        assert (one.outcome is Outcome.LINKED) == bool(one.joined)
        assert all(found[other].global_id == one.global_id for other in one.joined)
        if one.outcome is Outcome.NEW:
            assert one.global_id not in ids
