"""What the online linker says about its decisions: one line for each change, with the candidates as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.core.decisions import Decision, Obstacle, Outcome, Reason, Stage
from pipeline.cross_camera.decision_log import DecisionLog
from pipeline.cross_camera.online_linker import OnlineLinker
from tests.helpers.factories import at_distance, link_limits_of, one_hot
from tests.pipeline.cross_camera.test_online_linker import CAMERAS, PERSON, Scene, scene_settings, window


class LoggedScene(Scene):
    """A scene whose linker notes its decisions."""

    def __init__(self, *, candidates: int = 5, **settings: Any) -> None:
        super().__init__(**settings)
        chosen = scene_settings(**{"feature_max_similarity": 0.9999, **settings})
        self.told: list[Decision] = []
        log = DecisionLog(self.told.append, candidates)
        self.linker = OnlineLinker(CAMERAS, chosen, link_limits_of(chosen), log=log)

    def of(self, camera_id: str, track_id: int) -> list[tuple[Outcome, Reason]]:
        return [(one.outcome, one.reason) for one in self.told if one.key == (camera_id, track_id)]


FEW = (Outcome.WAITING, Reason.FEW_CROPS)


def test_a_track_waits_for_crops_and_joins_the_nearest() -> None:
    scene = LoggedScene()
    scene.track("a", 1, 0, 1, PERSON)
    scene.track("b", 1, 5, 6, at_distance(0.2))
    assert scene.of("a", 1) == [FEW, (Outcome.NEW, Reason.NO_CANDIDATE)]
    assert scene.of("b", 1) == [FEW, (Outcome.LINKED, Reason.NEAREST)]
    linked = scene.told[-1]
    assert (linked.stage, linked.camera_id, linked.track_id, linked.global_id) == (Stage.ONLINE, "b", 1, 1)
    assert linked.time_s == pytest.approx(5.1)
    assert (linked.good_crops, linked.limit, linked.mean_weight) == (2, 0.35, 0.0)
    (candidate,) = linked.candidates
    assert (candidate.global_id, candidate.impossible, candidate.floor_distance_m) == (1, None, None)
    assert candidate.cosine_distance == pytest.approx(0.2, abs=0.01)
    # .2 of a limit of .35
    assert candidate.cost == pytest.approx(0.2 / 0.35, abs=0.03)


def test_a_track_without_a_near_candidate_is_new() -> None:
    scene = LoggedScene()
    scene.track("a", 1, 0, 1, PERSON)
    scene.track("b", 1, 5, 6, at_distance(0.9))
    assert scene.of("b", 1)[-1] == (Outcome.NEW, Reason.NONE_WITHIN_LIMIT)
    assert [one.global_id for one in scene.told[-1].candidates] == [1]


def test_just_above_the_limit_it_waits_as_long_as_it_may() -> None:
    """.4 is 1.14 times the limit, which more crops may correct."""
    scene = LoggedScene()
    scene.track("a", 1, 0, 1, PERSON)
    scene.track("b", 1, 5, 9, at_distance(0.4))
    assert scene.of("b", 1) == [
        FEW,
        (Outcome.WAITING, Reason.JUST_ABOVE_LIMIT),
        (Outcome.NEW, Reason.WAITED_TOO_LONG),
    ]


def test_two_near_candidates() -> None:
    scene = LoggedScene()
    scene.track("a", 1, 0, 1, at_distance(0.3))
    scene.track("c", 1, 0, 1, one_hot(0)[0] * 0.7 + one_hot(2)[0] * np.sqrt(1 - 0.49))
    scene.track("b", 1, 5, 9, PERSON)
    assert scene.of("b", 1) == [
        FEW,
        (Outcome.WAITING, Reason.TOO_CLOSE),
        (Outcome.LINKED, Reason.TOO_CLOSE_TOO_LONG),
    ]
    assert sorted(one.global_id for one in scene.told[-1].candidates) == [1, 2]


def test_a_lost_track_holds_its_person() -> None:
    scene = LoggedScene()
    for time_s in (0.0, 0.1, 0.2):
        scene.observe("a", time_s, {1: PERSON})
    for time_s in (1.0, 1.1, 1.2):
        scene.observe("a", time_s, {2: PERSON})
    assert scene.of("a", 2) == [FEW, (Outcome.WAITING, Reason.HELD)]
    assert scene.told[-1].candidates[0].impossible is Obstacle.HELD
    scene.observe("a", 1.3, {2: PERSON}, ended=[1])
    scene.observe("a", 1.4, {2: PERSON})
    assert scene.of("a", 2)[-1] == (Outcome.LINKED, Reason.NEAREST)


def test_who_is_in_view_is_impossible() -> None:
    scene = LoggedScene()
    for time_s in (0.0, 0.1, 0.2, 0.3):
        scene.observe("a", time_s, {1: PERSON, 2: at_distance(0.2)})
    assert scene.of("a", 2)[0] == FEW
    # The two tracks of the tick are decided together, so the second one knows nobody.
    assert scene.of("a", 2)[-1] == (Outcome.NEW, Reason.NO_CANDIDATE)
    for time_s in (0.4, 0.5, 0.6):
        scene.observe("a", time_s, {1: PERSON, 2: at_distance(0.2), 3: PERSON})
    assert scene.of("a", 3)[-1] == (Outcome.NEW, Reason.NO_CANDIDATE)
    assert [one.impossible for one in scene.told[-1].candidates] == [Obstacle.IN_VIEW, Obstacle.IN_VIEW]


@pytest.mark.parametrize(
    ("settings", "floor", "obstacle"),
    [
        pytest.param({"transit_windows": [window("a", "b", 10, 20)]}, None, Obstacle.TRANSIT_TIME, id="transit"),
        pytest.param({}, ({1: (0.0, 0.0)}, {1: (500.0, 0.0)}), Obstacle.TOO_FAR, id="too far"),
    ],
)
def test_hard_constraints_are_named(settings: dict[str, Any], floor: Any, obstacle: Obstacle) -> None:
    scene = LoggedScene(**settings)
    first, second = floor or (None, None)
    scene.track("a", 1, 0, 1.5, PERSON, floor=first)
    scene.track("b", 1, 4, 5.5, PERSON, floor=second)
    decided = scene.told[-1]
    assert (decided.outcome, decided.reason) == (Outcome.NEW, Reason.NO_CANDIDATE)
    assert [one.impossible for one in decided.candidates] == [obstacle]


def test_people_at_two_places_at_once() -> None:
    scene = LoggedScene()
    for time_s in np.arange(0, 2.0, 0.1):
        scene.observe("a", float(time_s), {1: PERSON}, floor={1: (0.0, 0.0)})
        scene.observe("b", float(time_s), {1: PERSON}, floor={1: (9.0, 0.0)})
    decided = scene.told[-1]
    assert decided.key == ("b", 1)
    assert [one.impossible for one in decided.candidates] == [Obstacle.APART]
    assert decided.candidates[0].floor_distance_m == pytest.approx(9.0)
    assert decided.candidates[0].cost is None


@pytest.mark.parametrize(
    ("embedding", "seconds", "floor", "ending"),
    [
        (None, 1.0, None, (Outcome.WITHOUT_EVIDENCE, Reason.ENDED_FEW_CROPS)),
        (PERSON, 0.0, None, (Outcome.NEW, Reason.ENDED_FEW_CROPS)),
        (PERSON, 0.0, {1: (0.0, 0.0)}, (Outcome.NEW, Reason.ENDED_FEW_POSITIONS)),
        (at_distance(0.4), 1.0, None, (Outcome.NEW, Reason.ENDED_WAITING)),
    ],
)
def test_tracks_that_end_before_a_decision(embedding: Any, seconds: float, floor: Any, ending: Any) -> None:
    scene = LoggedScene()
    scene.track("a", 1, 0, 1, PERSON)
    scene.track("b", 1, 5, 5 + seconds, embedding, floor=floor)
    assert scene.of("b", 1)[-1] == ending
    last = scene.told[-1]
    assert last.global_id == 2
    assert last.time_s == pytest.approx(5 + seconds)
    assert [one.global_id for one in last.candidates] == ([] if embedding is None else [1])


def test_the_last_of_two_who_want_one_person() -> None:
    scene = LoggedScene()
    scene.track("a", 1, 0, 1, PERSON)
    for time_s in (5.0, 5.1, 5.2):
        scene.observe("b", time_s, {1: PERSON, 2: at_distance(0.2)})
    assert scene.of("b", 1)[-1] == (Outcome.LINKED, Reason.NEAREST)
    assert scene.of("b", 2)[-1] == (Outcome.NEW, Reason.WENT_TO_ANOTHER)
    assert [one.impossible for one in scene.told[-1].candidates] == [Obstacle.WENT_TO_ANOTHER]


def test_the_best_candidates_come_first_and_few_are_told() -> None:
    """Three people who have nothing in common but .1, .5 and .3 with somebody new."""
    scene = LoggedScene(candidates=2)
    for number, likeness in enumerate((0.1, 0.5, 0.3), start=1):
        vector = likeness * one_hot(0)[0] + np.sqrt(1 - likeness**2) * one_hot(number)[0]
        scene.track("a", number, 2 * number, 2 * number + 1, vector)
    scene.track("b", 1, 20, 21, PERSON)
    candidates = scene.told[-1].candidates
    assert [one.global_id for one in candidates] == [2, 3]
    assert [one.cosine_distance for one in candidates] == pytest.approx([0.5, 0.7], abs=0.01)


def test_finishing_tells_about_tracks_that_still_run() -> None:
    scene = LoggedScene()
    scene.observe("a", 0.0, {1: PERSON})
    scene.linker.finish()
    assert scene.of("a", 1) == [FEW, (Outcome.NEW, Reason.ENDED_FEW_CROPS)]
