"""Which boxes a tracker takes for one person, and how long a track lives."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.datatypes import Detections
from tests.helpers.factories import make_detections, make_frame, make_tracker, tracker_settings
from tests.helpers.tracker_world import Box, Person, follow, hidden, walker

# -- who is who -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame_rate", [1, 10, 30])
def test_one_person_walks_through_and_keeps_one_id_from_the_first_box_on(frame_rate: float) -> None:
    speed = 20 if frame_rate == 1 else 100
    followed = follow([Person(walker(speed))], 6, frame_rate)
    assert followed.of(0) == [1]
    assert followed.frames_of(0) == list(range(round(6 * frame_rate)))


@pytest.mark.parametrize(
    ("people", "ids"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param(
            [Person(walker(y=50)), Person(walker(y=200)), Person(walker(y=350))],
            [[1], [2], [3]],
            id="three people side by side",
        ),
        pytest.param(
            [Person(walker(60, x=100, y=200)), Person(walker(-60, x=600, y=230))],
            [[1], [2]],
            id="two people cross, both visible",
        ),
        pytest.param(
            [Person(walker(80, x=100)), Person(hidden(walker(-80, x=580), 2.6, 3.4))],
            [[1], [2]],
            id="two people cross, one hides the other wholly",
        ),
        pytest.param([Person(hidden(walker(), 2, 2.8))], [[1]], id="a person is hidden for a moment and walks on"),
        pytest.param(
            [Person(lambda t: (100 + 50 * t, 200) if t < 2 else (100 + 50 * t, 300) if t > 5 else None)],
            [[1, 2]],
            id="a person comes back after longer than max_lost_s",
        ),
        pytest.param(
            [Person(walker(), class_id=0), Person(walker(x=103), class_id=1)],
            [[1], [2]],
            id="two classes at the same place do not mix",
        ),
    ],
)
@pytest.mark.parametrize("embeddings", [True, False], ids=["embeddings", "no embeddings"])
def test_small_worlds(people: list[Person], ids: list[list[int]], embeddings: bool) -> None:
    followed = follow(people, 6, embeddings=embeddings)
    assert [followed.of(person) for person in range(len(people))] == ids


def test_appearance_finds_a_person_whose_box_jumped_and_overlap_alone_does_not() -> None:
    # 0.7 box heights aside between two frames: no overlap left, but inside the gate of 1.0 heights.
    jump = Person(lambda t: None if 2 <= t < 2.5 else (100 if t < 2 else 170, 200))
    assert follow([jump], 5).of(0) == [1]
    assert follow([jump], 5, embeddings=False).of(0) == [1, 2]


def test_appearance_never_joins_places_beyond_the_gate() -> None:
    jump = Person(lambda t: None if 2 <= t < 2.5 else (100 if t < 2 else 300, 200))
    assert follow([jump], 5).of(0) == [1, 2]


def test_another_person_in_the_place_of_a_lost_one_gets_an_own_id() -> None:
    first = Person(lambda t: (100, 200) if t < 2 else None)
    second = Person(lambda t: (150, 200) if t >= 2.5 else None)
    followed = follow([first, second], 5)
    assert (followed.of(0), followed.of(1)) == ([1], [2])


# -- confidence -----------------------------------------------------------------------------------------------


def test_weak_boxes_continue_a_track() -> None:
    followed = follow([Person(walker(), lambda t: 0.9 if t < 2 else 0.15)], 5)
    assert followed.of(0) == [1]
    assert followed.frames_of(0) == list(range(50))


@pytest.mark.parametrize(("confidence", "tracks"), [(0.05, 0), (0.15, 0), (0.45, 0), (0.5, 1), (0.9, 1)])
def test_only_boxes_from_new_track_confidence_up_start_a_track(confidence: float, tracks: int) -> None:
    assert len(follow([Person(walker(), lambda t: confidence)], 3).of(0)) == tracks


def test_boxes_below_low_confidence_continue_nothing() -> None:
    followed = follow([Person(walker(), lambda t: 0.9 if t < 2 else 0.05)], 5)
    assert followed.frames_of(0) == list(range(20))
    assert followed.ended == [1]


def test_a_weak_box_does_not_bring_a_lost_track_back() -> None:
    person = Person(hidden(lambda t: (100, 200), 2, 2.5), lambda t: 0.9 if t < 2 else 0.2)
    followed = follow([person], 4)
    assert followed.frames_of(0) == list(range(20))


# -- the life of a track --------------------------------------------------------------------------------------


def test_a_tentative_track_that_misses_a_frame_leaves_no_trace() -> None:
    slowly = tracker_settings(confirm_after_s=0.25)
    followed = follow([Person(lambda t: (100, 200) if t < 0.15 else None)], 3, settings=slowly)
    assert followed.ids == {}
    assert followed.ended == []
    # The next one to be confirmed is number 1.
    people = [Person(lambda t: (100, 200) if t < 0.15 else None), Person(hidden(walker(), 0, 1))]
    later = follow(people, 3, settings=slowly)
    assert later.of(1) == [1]


def test_confirmation_hands_out_the_boxes_from_before_once() -> None:
    followed = follow([Person(lambda t: (100, 200))], 1, settings=tracker_settings(confirm_after_s=0.25))
    # The fourth frame, at 0.3 s, is the first with a row and brings the three before it.
    assert [len(tracked.track_ids) for tracked in followed.frames[:5]] == [0, 0, 0, 1, 1]
    assert [early.frame_index for early in followed.frames[3].earlier[1]] == [0, 1, 2]
    assert followed.frames[4].earlier == {}


@pytest.mark.parametrize("start_s", [0.0, 0.1, 0.2, 0.3, 0.7])
def test_one_frame_later_is_a_tenth_of_a_second_at_ten_frames_per_second(start_s: float) -> None:
    """Though 0.3 - 0.2 is below 0.1."""
    person = Person(lambda t: (100, 200) if t > start_s - 0.05 else None)
    followed = follow([person], 2, settings=tracker_settings(confirm_after_s=0.1))
    first = next(tracked for tracked in followed.frames if len(tracked.track_ids))
    assert first.time_s == pytest.approx(start_s + 0.1)


def test_at_one_frame_per_second_the_second_box_confirms() -> None:
    followed = follow([Person(lambda t: (100, 200))], 3, frame_rate=1)
    assert [len(tracked.track_ids) for tracked in followed.frames] == [0, 1, 1]


@pytest.mark.parametrize("frame_rate", [1, 10, 30])
@pytest.mark.parametrize(
    ("hidden_s", "ids"), [(1.5, [1]), (2.5, [1, 2])], ids=["found within max_lost_s", "too late"]
)
def test_lost_and_found_does_not_depend_on_the_frame_rate(
    frame_rate: float, hidden_s: float, ids: list[int]
) -> None:
    # Unseen from 5.0 on; at 1 frame per second the last box is at 4 s, so the gaps are 2 and 3 s there.
    away = Person(hidden(lambda t: (100, 200), 5.0, 5.0 + hidden_s))
    assert follow([away], 12, frame_rate, embeddings=False).of(0) == ids


def test_a_track_ends_once_after_max_lost_s() -> None:
    followed = follow([Person(lambda t: (100, 200) if t < 1 else None)], 5)
    assert followed.ended == [1]
    # Last seen at 0.9 s and kept for 2.0 s: the end comes in the first frame after 2.9 s.
    (end,) = [tracked.time_s for tracked in followed.frames if tracked.ended]
    assert 2.9 <= end <= 3.05


def test_a_lost_track_ends_where_a_later_one_takes_its_place() -> None:
    lost = Person(lambda t: (100, 200) if t < 3 else None)
    # Weak boxes go to tracks that are in view, so they leave the lost one without a box.
    newcomer = Person(
        lambda t: (150 - 50 * (t - 3.1), 200) if t >= 3.05 else None, lambda t: 0.9 if t < 3.55 else 0.3
    )

    def end_s(duplicate_iou: float) -> float:
        settings = tracker_settings(duplicate_iou=duplicate_iou)
        followed = follow([lost, newcomer], 6, settings=settings, embeddings=False)
        assert (followed.of(0), followed.of(1)) == ([1], [2])
        assert followed.ended == [1]
        return next(tracked.time_s for tracked in followed.frames if tracked.ended)

    assert end_s(0.85) == pytest.approx(4.1)
    assert end_s(1.0) > 4.85


def test_two_trackers_count_from_1_each() -> None:
    people = [Person(walker(y=50)), Person(walker(y=300))]
    assert follow(people, 1).of(0) == follow(people, 1).of(0) == [1]


def test_finish_ends_all_tracks_and_the_next_ids_go_on() -> None:
    tracker = make_tracker()
    box = make_detections([(100, 200, 140, 300)])
    for index in range(5):
        tracker.update(make_frame(index), box)
    tracker.update(make_frame(5), make_detections([(100, 200, 140, 300), (500, 200, 540, 300)]))
    assert tracker.live_tracks == 2
    assert tracker.finish() == (1,)
    assert tracker.live_tracks == 0
    assert tracker.oldest_unconfirmed_s == np.inf
    later = [tracker.update(make_frame(index), box) for index in range(6, 12)]
    assert later[-1].track_ids.tolist() == [2]


def test_the_oldest_unconfirmed_box_is_known_until_it_is_settled() -> None:
    tracker = make_tracker(tracker_settings(confirm_after_s=0.25))
    oldest = []
    for index in range(6):
        boxes = [(100, 200, 140, 300)] + ([(500, 200, 540, 300)] if index == 2 else [])
        tracker.update(make_frame(index), make_detections(boxes))
        oldest.append(tracker.oldest_unconfirmed_s)
    assert oldest == [0.0, 0.0, 0.0, np.inf, np.inf, np.inf]


# -- frames ---------------------------------------------------------------------------------------------------


def test_empty_frames_are_ordinary() -> None:
    tracker = make_tracker()
    for index in range(3):
        frame = make_frame(index)
        assert tracker.plan(frame, Detections.empty()).tolist() == []
        tracked = tracker.update(frame, Detections.empty())
        assert tracked.track_ids.shape == (0,)
        assert tracked.ended == ()
    assert tracker.live_tracks == 0


@pytest.mark.parametrize("boxes", [[], [(100, 200, 140, 300)]], ids=["nobody", "somebody"])
@pytest.mark.parametrize("time_s", [1.0, 0.5])
def test_time_must_go_forward(boxes: list[Box], time_s: float) -> None:
    tracker = make_tracker()
    tracker.update(make_frame(0, 1.0), make_detections(boxes))
    with pytest.raises(ValueError, match=r"is not later than the previous one, at 1\.000 s"):
        tracker.update(make_frame(1, time_s), make_detections(boxes))
    with pytest.raises(ValueError, match="is not later than the previous one"):
        tracker.plan(make_frame(1, time_s), make_detections(boxes))


def test_a_plan_for_other_boxes_of_the_same_frame_is_not_kept() -> None:
    tracker = make_tracker()
    person = make_detections([(100, 200, 140, 300)])
    for index in range(5):
        tracker.update(make_frame(index), person)
    tracker.plan(make_frame(5), make_detections([(500, 200, 540, 300)]))
    assert tracker.update(make_frame(5), person).track_ids.tolist() == [1]
