"""Losses by cause, counted by hand: two people, a camera each side, one box a frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.benchmark.loss_report import SetLosses, losses_table, summary_tables
from pipeline.benchmark.losses import Cause, Losses, Track, losses, right_ids
from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage, TrackKey
from tests.helpers.decided_world import candidate, decision, world

ONLINE, FINAL = Stage.ONLINE, Stage.SECOND_PASS
LINKED, NEW, WAITING = Outcome.LINKED, Outcome.NEW, Outcome.WAITING

A, B = ("a", 1), ("b", 1)
OTHER = ("a", 2)


def online(*last: Decision, ids: Sequence[int] = (9, 9)) -> Losses:
    """Person 1 has three boxes in camera a with id 1, person 2 two with id 2; then person 1 comes to camera b."""
    first = (decision(A, NEW, 1), decision(OTHER, NEW, 2, candidate(1, 2.0, Obstacle.IN_VIEW)))
    seen = {A: (1, 0, (1, 1, 1)), OTHER: (2, 0, (2, 2)), B: (1, 50, ids)}
    return losses(*world(seen, (*first, *last)), ONLINE)


@pytest.mark.parametrize(
    ("outcome", "candidates", "reason", "cause"),
    [
        (NEW, [candidate(1, 1.4), candidate(2, 1.6)], Reason.NONE_WITHIN_LIMIT, Cause.LIMIT),
        (NEW, [candidate(2, 1.3), candidate(1, 1.4)], Reason.NONE_WITHIN_LIMIT, Cause.WRONG_NEARER),
        (NEW, [candidate(1, 0.4)], Reason.ENDED_FEW_CROPS, Cause.FEW_CROPS),
        (Outcome.WITHOUT_EVIDENCE, [], Reason.ENDED_FEW_CROPS, Cause.FEW_CROPS),
        (NEW, [candidate(1, 0.4, Obstacle.FEW_CROPS)], Reason.WAITED_TOO_LONG, Cause.FEW_CROPS),
        (NEW, [candidate(1, 0.4, Obstacle.HELD)], Reason.WAITED_TOO_LONG, Cause.HELD),
        (NEW, [candidate(1, 0.4, Obstacle.IN_VIEW)], Reason.NO_CANDIDATE, Cause.IN_VIEW),
        (NEW, [candidate(1, 0.4, Obstacle.TRANSIT_TIME)], Reason.NO_CANDIDATE, Cause.CONSTRAINT),
        (NEW, [candidate(1, 0.4, Obstacle.TOO_FAR)], Reason.NO_CANDIDATE, Cause.CONSTRAINT),
        (NEW, [candidate(1, 9.0, Obstacle.APART)], Reason.NO_CANDIDATE, Cause.CONSTRAINT),
        (NEW, [candidate(1, 0.4, Obstacle.WENT_TO_ANOTHER)], Reason.WENT_TO_ANOTHER, Cause.WENT_TO_ANOTHER),
        (NEW, [candidate(2, 1.6)], Reason.NONE_WITHIN_LIMIT, Cause.FORGOTTEN),
    ],
)
def test_a_track_that_founds_a_second_identity(
    outcome: Outcome, candidates: Sequence[Candidate], reason: Reason, cause: Cause
) -> None:
    found = online(decision(B, outcome, 9, *candidates, reason=reason, time_s=5.0))
    assert found.boxes == {Cause.RIGHT: 5, cause: 2}
    assert found.tracks == {Cause.RIGHT: 2, cause: 1}


def test_a_track_that_joins_somebody_else() -> None:
    found = online(decision(B, LINKED, 2, candidate(2, 0.3), candidate(1, 0.4), time_s=5.0), ids=(2, 2))
    assert found.boxes == {Cause.RIGHT: 5, Cause.WRONG_NEARER: 2}
    found = online(decision(B, LINKED, 2, candidate(2, 0.3), candidate(1, 0.2, Obstacle.HELD)), ids=(2, 2))
    assert found.boxes == {Cause.RIGHT: 5, Cause.HELD: 2}


def test_founded_at_almost_the_same_moment() -> None:
    found = online(decision(B, NEW, 9, candidate(1, 1.2), time_s=0.9))
    assert found.boxes == {Cause.RIGHT: 5, Cause.FOUNDED_EARLY: 2}


def test_waited_between_two_and_then_founded() -> None:
    waits = decision(B, WAITING, None, candidate(1, 0.5), candidate(2, 0.5), reason=Reason.TOO_CLOSE, time_s=5.0)
    founds = decision(B, NEW, 9, candidate(1, 1.1), candidate(2, 1.0), reason=Reason.ENDED_WAITING, time_s=6.0)
    assert online(waits, founds).boxes == {Cause.RIGHT: 5, Cause.AMBIGUOUS: 2}


def test_rows_from_before_the_decision() -> None:
    found = online(decision(B, LINKED, 1, candidate(1, 0.2), time_s=5.0), ids=(9, 1))
    assert found.boxes == {Cause.RIGHT: 6, Cause.EARLY_ROWS: 1}
    assert found.tracks == {Cause.RIGHT: 3}


def test_the_smaller_part_of_a_person_has_the_cause_of_the_break() -> None:
    """Person 1 has more boxes with id 9, so those with id 1 are lost, by the decision in camera b."""
    found = online(decision(B, NEW, 9, candidate(1, 1.4), time_s=5.0), ids=(9,) * 4)
    assert found.boxes == {Cause.RIGHT: 6, Cause.LIMIT: 3}
    assert found.tracks == {Cause.RIGHT: 2, Cause.LIMIT: 1}


def test_a_track_that_joins_a_second_identity_has_the_cause_of_that_identity() -> None:
    """Track b 1 founds id 9, which b 2 rightly finds to be the same person; most boxes have id 1."""
    seen = {A: (1, 0, (1,) * 6), B: (1, 50, (9,)), ("b", 2): (1, 90, (9, 9))}
    told = (
        decision(A, NEW, 1),
        decision(B, NEW, 9, candidate(1, 1.4), time_s=5.0),
        decision(("b", 2), LINKED, 9, candidate(9, 0.1), candidate(1, 0.2), time_s=9.0),
    )
    assert losses(*world(seen, told), ONLINE).boxes == {Cause.RIGHT: 6, Cause.LIMIT: 3}


def test_a_stranger_is_taken_for_somebody_known() -> None:
    seen = {A: (1, 0, (1, 1, 1)), B: (2, 50, (1, 1))}
    told = (decision(A, NEW, 1), decision(B, LINKED, 1, candidate(1, 0.5), time_s=5.0))
    assert losses(*world(seen, told), ONLINE).boxes == {Cause.RIGHT: 3, Cause.STRANGER: 2}


def final(*last: Candidate, ids: Sequence[int] = (9, 9), good_crops: int = 2) -> Losses:
    told = (
        decision(A, NEW, 1, stage=FINAL),
        decision(OTHER, NEW, 2, stage=FINAL),
        decision(B, NEW, ids[0], *last, stage=FINAL, good_crops=good_crops),
    )
    return losses(*world({A: (1, 0, (1, 1, 1)), OTHER: (2, 0, (2, 2)), B: (1, 50, ids)}, told), FINAL)


@pytest.mark.parametrize(
    ("candidates", "ids", "good_crops", "cause"),
    [
        ([candidate(1, 1.2), candidate(2, 1.5)], (9, 9), 2, Cause.LIMIT),
        ([candidate(2, 1.1), candidate(1, 1.2)], (9, 9), 2, Cause.WRONG_NEARER),
        ([candidate(2, 0.3), candidate(1, 0.4)], (2, 2), 2, Cause.WRONG_NEARER),
        ([candidate(1, 0.2, Obstacle.SAME_TIME)], (9, 9), 2, Cause.IN_VIEW),
        ([candidate(1, 0.2, Obstacle.OTHER_TRACKS)], (9, 9), 2, Cause.IN_VIEW),
        ([candidate(1, 0.2, Obstacle.TRANSIT_TIME)], (9, 9), 2, Cause.CONSTRAINT),
        ([candidate(1, 0.2, Obstacle.ABSENCE)], (9, 9), 2, Cause.FORGOTTEN),
        ([], (9, 9), 0, Cause.FEW_CROPS),
        ([], (9, 9), 2, Cause.OTHER),
    ],
)
def test_causes_in_the_second_pass(
    candidates: Sequence[Candidate], ids: Sequence[int], good_crops: int, cause: Cause
) -> None:
    found = final(*candidates, ids=ids, good_crops=good_crops)
    assert found.boxes == {Cause.RIGHT: 5, cause: 2}
    assert found.tracks == {Cause.RIGHT: 2, cause: 1}


def test_a_person_who_is_in_the_groups_of_others_only() -> None:
    told = (decision(A, LINKED, 1, stage=FINAL), decision(B, LINKED, 1, candidate(1, 0.5), stage=FINAL))
    found = losses(*world({A: (1, 0, (1, 1, 1)), B: (2, 50, (1, 1))}, told), FINAL)
    assert found.boxes == {Cause.RIGHT: 3, Cause.STRANGER: 2}


def test_right_ids_are_one_to_one() -> None:
    """Both people have most boxes with id 1: it goes to whoever loses more without it."""
    tracks = [Track(1, np.array([1] * 5 + [2] * 4)), Track(2, np.array([1] * 3))]
    assert right_ids(tracks) == {1: 2, 2: 1}
    assert right_ids([*tracks, Track(3, np.array([1]))]) == {1: 2, 2: 1, 3: -1}


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 4)),
        st.tuples(st.integers(1, 3), st.lists(st.integers(1, 4), min_size=1, max_size=4)),
        min_size=1,
    )
)
def test_every_box_and_every_track_is_counted_once(tracks: dict[TrackKey, tuple[int, list[int]]]) -> None:
    """Tracks follow each other in time, so that nobody is seen twice at once."""
    seen, told = {}, []
    for place, (key, (person, ids)) in enumerate(sorted(tracks.items())):
        seen[key] = (person, 10 * place, ids)
        told.append(decision(key, NEW if place == 0 else LINKED, ids[-1], candidate(1, 0.5), time_s=float(place)))
    for stage in Stage:
        at_stage = [decision(one.key, one.outcome, one.global_id, *one.candidates, stage=stage) for one in told]
        found = losses(*world(seen, at_stage), stage)
        assert found.boxes.total() == sum(len(ids) for _, ids in tracks.values())
        assert found.tracks.total() == len(tracks)
        assert found.boxes[Cause.RIGHT] > 0


def test_tables_show_what_occurs() -> None:
    some = online(decision(B, NEW, 9, candidate(1, 1.4), time_s=5.0))
    both = SetLosses(some, final(candidate(2, 1.1), candidate(1, 1.2)))
    assert losses_table("two views", both) == [
        "**two views**",
        "",
        "|  | online: boxes | tracks | offline: boxes | tracks |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| linked right | 5 (71.4 %) | 2 | 5 (71.4 %) | 2 |",
        "| wrong candidate nearer | 0 (0.0 %) | 0 | 2 (28.6 %) | 1 |",
        "| limit too tight | 2 (28.6 %) | 1 | 0 (0.0 %) | 0 |",
    ]
    assert summary_tables({"one": both, "two": both}) == [
        "**Online: boxes by cause, in percent**",
        "",
        "|  | linked right | wrong candidate nearer | limit too tight |",
        "| --- | ---: | ---: | ---: |",
        "| one | 71.4 | 0.0 | 28.6 |",
        "| two | 71.4 | 0.0 | 28.6 |",
        "",
        "**Offline: boxes by cause, in percent**",
        "",
        "|  | linked right | wrong candidate nearer | limit too tight |",
        "| --- | ---: | ---: | ---: |",
        "| one | 71.4 | 28.6 | 0.0 |",
        "| two | 71.4 | 28.6 | 0.0 |",
        "",
    ]
    assert both.to_dict()["online"]["limit too tight"] == {"boxes": 2, "tracks": 1}
