from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.config import TrackerSettings
from pipeline.datatypes import Detections, EmbeddedCrops
from pipeline.single_camera.tracker import SingleCameraTracker, TrackedFrame
from tests.factories import at_distance, make_detections, make_frame, one_hot, tracker_settings

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Person:
    """What the detector says of a person at a time: a box of 40 x 100 px at `place`, or nothing.

    place: time -> left and top in px; None while not detected. confidence: time -> the detector's confidence.
    """

    place: Callable[[float], tuple[float, float] | None]
    confidence: Callable[[float], float] = lambda time_s: 0.9
    class_id: int = 0

    def box(self, time_s: float) -> Box | None:
        place = self.place(time_s)
        return None if place is None else (place[0], place[1], place[0] + 40, place[1] + 100)


@dataclass
class Followed:
    """What a tracker made of a world: (frame index, person) -> track id of every box, and counts."""

    ids: dict[tuple[int, int], int] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    embedded: list[tuple[float, int]] = field(default_factory=list)
    frames: list[TrackedFrame] = field(default_factory=list)

    def of(self, person: int) -> list[int]:
        """The different ids of a person, in order of time."""
        return list(dict.fromkeys(id for (_, who), id in sorted(self.ids.items()) if who == person))

    def frames_of(self, person: int) -> list[int]:
        return sorted(frame for frame, who in self.ids if who == person)


def follow(
    people: Sequence[Person],
    duration_s: float,
    frame_rate: float = 10.0,
    *,
    settings: TrackerSettings | None = None,
    embeddings: bool = True,
) -> Followed:
    """Run a tracker over a world; every person has an appearance of their own."""
    tracker = SingleCameraTracker(settings or tracker_settings())
    result = Followed()
    for index in range(round(duration_s * frame_rate)):
        frame = make_frame(index, frame_rate=frame_rate)
        seen = [(who, box) for who, p in enumerate(people) if (box := p.box(frame.time_s)) is not None]
        detections = make_detections(
            [box for _, box in seen],
            [people[who].confidence(frame.time_s) for who, _ in seen],
            class_id=[people[who].class_id for who, _ in seen],
        )
        rows = tracker.plan(frame, detections)
        if embeddings:
            result.embedded += [(frame.time_s, seen[row][0]) for row in rows]
            crops = one_hot(*[seen[row][0] for row in rows])
            detections = detections.with_embeddings(rows, EmbeddedCrops(crops, np.ones(len(rows), np.bool_)))
        tracked = tracker.update(frame, detections)
        result.frames.append(tracked)
        result.ended += tracked.ended
        for row, track_id in enumerate(tracked.track_ids.tolist()):
            for early in tracked.earlier.get(track_id, ()):
                _note(result, early.frame_index, _who(people, early.time_s, early.xyxy), track_id)
            _note(result, index, _who(people, frame.time_s, tracked.detections.xyxy[row]), track_id)
    return result


def _who(people: Sequence[Person], time_s: float, xyxy: np.ndarray) -> int:
    return next(
        who for who, p in enumerate(people) if (box := p.box(time_s)) and np.allclose(box, xyxy, atol=1e-3)
    )


def _note(result: Followed, frame: int, person: int, track_id: int) -> None:
    assert (frame, person) not in result.ids, "a box was handed out twice"
    result.ids[frame, person] = track_id


def walker(speed_px_s: float = 50, x: float = 100, y: float = 200) -> Callable[[float], tuple[float, float]]:
    return lambda time_s: (x + speed_px_s * time_s, y)


def hidden(
    place: Callable[[float], tuple[float, float] | None], start_s: float, end_s: float
) -> Callable[[float], tuple[float, float] | None]:
    """`place`, but nothing from `start_s` until before `end_s`."""
    return lambda time_s: None if start_s - 1e-9 <= time_s < end_s - 1e-9 else place(time_s)


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
    tracker = SingleCameraTracker(tracker_settings())
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
    tracker = SingleCameraTracker(tracker_settings(confirm_after_s=0.25))
    oldest = []
    for index in range(6):
        boxes = [(100, 200, 140, 300)] + ([(500, 200, 540, 300)] if index == 2 else [])
        tracker.update(make_frame(index), make_detections(boxes))
        oldest.append(tracker.oldest_unconfirmed_s)
    assert oldest == [0.0, 0.0, 0.0, np.inf, np.inf, np.inf]


# -- frames ---------------------------------------------------------------------------------------------------


def test_empty_frames_are_ordinary() -> None:
    tracker = SingleCameraTracker(tracker_settings())
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
    tracker = SingleCameraTracker(tracker_settings())
    tracker.update(make_frame(0, 1.0), make_detections(boxes))
    with pytest.raises(ValueError, match=r"does not follow the one before, at 1\.000 s"):
        tracker.update(make_frame(1, time_s), make_detections(boxes))
    with pytest.raises(ValueError, match="does not follow"):
        tracker.plan(make_frame(1, time_s), make_detections(boxes))


def test_a_plan_for_other_boxes_of_the_same_frame_is_not_kept() -> None:
    tracker = SingleCameraTracker(tracker_settings())
    person = make_detections([(100, 200, 140, 300)])
    for index in range(5):
        tracker.update(make_frame(index), person)
    tracker.plan(make_frame(5), make_detections([(500, 200, 540, 300)]))
    assert tracker.update(make_frame(5), person).track_ids.tolist() == [1]


# -- who comes out of hiding ----------------------------------------------------------------------------------


IN_THE_OPEN, BEHIND = [(100, 200, 140, 300)], [(100, 200, 140, 300), (110, 200, 150, 300)]


def _comes_out(hidden: bool, distance: float) -> list[int]:
    """Track ids after somebody was in the open for 1 s, perhaps hidden for .3 s, and then is there for .4 s with a look
    at this cosine distance."""
    tracker = SingleCameraTracker(tracker_settings(max_cosine_distance=0.25, somebody_else_factor=1.6))
    looks = [make_detections(IN_THE_OPEN, embeddings=one_hot(0))] * 10
    looks += [make_detections(BEHIND)] * (3 if hidden else 0)
    looks += [make_detections(IN_THE_OPEN, embeddings=at_distance(distance)[None])] * 4
    return [tracker.update(make_frame(index), seen) for index, seen in enumerate(looks)][-1].track_ids.tolist()


@pytest.mark.parametrize(
    ("hidden", "distance", "same"),
    [
        pytest.param(True, 0.2, True, id="the same person"),
        pytest.param(True, 0.39, True, id="perhaps the same person"),
        pytest.param(True, 0.41, False, id="beyond 1.6 x .25: somebody else"),
        pytest.param(False, 0.41, True, id="in the open all the time: the person has turned round"),
    ],
)
def test_somebody_else_may_come_out_where_a_person_was_hidden(hidden: bool, distance: float, same: bool) -> None:
    assert (1 in _comes_out(hidden, distance)) == same


def test_the_hidden_person_is_still_looked_for() -> None:
    """Somebody else stands exactly where the lost track is expected; the person then comes out beside."""
    tracker = SingleCameraTracker(tracker_settings())
    frames = [make_detections(IN_THE_OPEN, embeddings=one_hot(0))] * 10
    frames += [make_detections(BEHIND)] * 3
    frames += [make_detections(IN_THE_OPEN, embeddings=one_hot(1))] * 5
    both = [*IN_THE_OPEN, (150, 200, 190, 300)]
    frames += [make_detections(both, embeddings=one_hot(1, 0))] * 2
    tracked = [tracker.update(make_frame(index), frame) for index, frame in enumerate(frames)][-1]
    first_px = dict(zip(tracked.track_ids.tolist(), tracked.detections.xyxy[:, 0].tolist(), strict=True))
    assert first_px[1] == 150
    assert len(first_px) == 2


@pytest.mark.parametrize("beside_px", [0, 10, 20])
def test_who_was_found_to_be_somebody_else_stays_it_while_nobody_looks(beside_px: float) -> None:
    """Embeddings only where the plan asks for them: none in most of the frames after the stranger was noticed."""
    box = [(100.0 + beside_px, 200.0, 140.0 + beside_px, 300.0)]
    scenes = [(IN_THE_OPEN, one_hot(0))] * 10 + [(BEHIND, one_hot(0, 0))] * 3 + [(box, one_hot(1))] * 30
    tracker = SingleCameraTracker(tracker_settings())
    ids, embedded = [], 0
    for index, (boxes, looks) in enumerate(scenes):
        frame, detections = make_frame(index), make_detections(boxes)
        rows = tracker.plan(frame, detections)
        embedded += len(rows)
        if len(rows):
            crops = EmbeddedCrops(embeddings=looks[rows].astype(np.float32), valid=np.ones(len(rows), np.bool_))
            detections = detections.with_embeddings(rows, crops)
        ids.append(tracker.update(frame, detections).track_ids.tolist())
    noticed = next(index for index, seen in enumerate(ids) if index >= 13 and seen != [1])
    assert noticed < 23  # a track is embedded once a second
    stranger = ids[-1]
    assert stranger != [1]
    assert ids[noticed + 2 :] == [stranger] * len(ids[noticed + 2 :])
    assert embedded < 12


# -- which boxes are embedded ---------------------------------------------------------------------------------


def test_one_person_beyond_doubt_is_embedded_about_once_per_interval() -> None:
    followed = follow([Person(walker(30))], 10)
    times = np.array([time_s for time_s, _ in followed.embedded])
    # The third box (the first due one) and one 0.3 s later are the first two; then one a second.
    assert times[:2] == pytest.approx([0.2, 0.5])
    assert np.diff(times[1:]) == pytest.approx(1.0)
    assert len(times) == 11


def test_people_who_stand_one_before_the_other_are_embedded_in_every_frame() -> None:
    # From 2 s on they are 6 px apart: each box overlaps the other's track by 34 / 46 = 0.74 and its own by 1.
    first, second = Person(lambda t: (100, 200)), Person(lambda t: (max(106, 206 - 50 * t), 200))
    embedded = follow([first, second], 6).embedded
    assert [who for time_s, who in embedded if 3.95 < time_s < 4.95] == [0, 1] * 10
    # At 10 px the overlaps of 30 / 50 = 0.6 and 1 differ enough; and these crops are too covered to be good.
    apart = follow([first, Person(lambda t: (max(110, 210 - 50 * t), 200))], 6).embedded
    assert [who for time_s, who in apart if time_s > 3.95] == []


def test_a_confident_box_without_a_track_is_embedded_while_somebody_is_lost() -> None:
    lost = Person(lambda t: (100, 200) if t < 3 else None)
    newcomer = Person(lambda t: (600, 200) if t >= 3.45 else None)
    followed = follow([lost, newcomer], 5)
    assert (3.5, 1) in [(round(time_s, 3), who) for time_s, who in followed.embedded]
    alone = follow([Person(lambda t: None), newcomer], 5)
    assert (3.5, 1) not in [(round(time_s, 3), who) for time_s, who in alone.embedded]


@pytest.mark.parametrize(
    ("frame_rate", "speed_px_s", "ids"),
    [
        # At 3 and at 1 frames per second the two walk further than their boxes are wide between two frames.
        pytest.param(10, 90, [[1], [2]], id="often"),
        pytest.param(3, 135, [[1], [2]], id="sparse"),
        pytest.param(1, 90, [[1], [2]], id="once a second"),
    ],
)
def test_people_who_walk_out_of_their_boxes_between_two_frames_are_found_by_their_looks(
    frame_rate: float, speed_px_s: float, ids: list[list[int]]
) -> None:
    people = [_late(walker(speed_px_s, x=20, y=100)), _late(walker(speed_px_s, x=60, y=260))]
    result = follow(people, 4.0, frame_rate)
    assert [result.of(0), result.of(1)] == ids
    assert result.frames_of(0) == result.frames_of(1) == list(range(1, round(4 * frame_rate)))


def _late(place: Callable[[float], tuple[float, float]]) -> Person:
    """Comes in the second frame: how long before the first one people were where they are is not known."""
    return Person(lambda time_s: place(time_s) if time_s > 0 else None)


def test_overlap_alone_cannot_find_them() -> None:
    result = follow([Person(walker(90, x=20))], 4.0, 1, embeddings=False)
    assert result.of(0) == []


def test_somebody_else_in_ones_box_of_a_second_ago_is_somebody_else() -> None:
    """Two people in a queue: each stands where the other stood in the frame before."""
    people = [_late(walker(60, x=100)), _late(walker(60, x=40))]
    result = follow(people, 4.0, 1)
    assert [result.of(0), result.of(1)] == [[1], [2]]


@pytest.mark.parametrize(
    ("frame_rate", "embedded"),
    [
        pytest.param(10, 0, id="a frame in .1 s"),
        pytest.param(3, 1, id="sparse: the box that overlaps nobody"),
        pytest.param(1, 2, id="after a second: all"),
    ],
)
def test_the_longer_the_gap_the_less_overlap_says(frame_rate: float, embedded: int) -> None:
    stays, comes = Person(lambda _: (100, 200)), Person(lambda time_s: (400, 200) if time_s > 0 else None)
    result = follow([stays, comes], 2 / frame_rate, frame_rate)
    assert len([who for time_s, who in result.embedded if time_s > 0]) == embedded


def test_weak_boxes_are_never_embedded() -> None:
    assert follow([Person(walker(), lambda t: 0.9 if t < 0.15 else 0.3)], 3).embedded == []


@pytest.mark.parametrize(
    ("boxes", "confidence", "good"),
    [
        pytest.param([(100, 100, 140, 200)], [0.9], [True], id="a good one"),
        pytest.param([(2, 100, 42, 200)], [0.9], [False], id="2 px from the left border"),
        pytest.param([(3, 100, 43, 200)], [0.9], [True], id="3 px from the left border"),
        pytest.param([(957, 100, 998, 200)], [0.9], [False], id="2 px from the right border"),
        pytest.param([(100, 1, 140, 101)], [0.9], [False], id="1 px from the upper border"),
        pytest.param([(100, 398, 140, 498)], [0.9], [False], id="2 px from the lower border"),
        pytest.param([(100, 100, 140, 139)], [0.9], [False], id="39 px high"),
        pytest.param([(100, 100, 140, 140)], [0.9], [True], id="40 px high"),
        pytest.param([(100, 100, 140, 200)], [0.49], [False], id="too unsure"),
        pytest.param([(100, 100, 140, 200), (123, 100, 163, 200)], [0.9, 0.9], [False, False], id="covered 17/40"),
        pytest.param([(100, 100, 140, 200), (124, 100, 164, 200)], [0.9, 0.9], [True, True], id="covered 16/40"),
        pytest.param(
            [(100, 100, 140, 200), (100, 100, 120, 150)],
            [0.9, 0.9],
            [True, False],
            id="a small box covers a quarter of a large one and lies wholly inside it",
        ),
    ],
)
def test_good_crops(boxes: list[Box], confidence: list[float], good: list[bool]) -> None:
    tracker = SingleCameraTracker(tracker_settings(low_confidence=0.1, new_track_confidence=0.4))
    tracked = [tracker.update(make_frame(index), make_detections(boxes, confidence)) for index in range(5)][-1]
    assert tracked.good_crop.tolist() == good


def test_a_crop_that_is_not_good_does_not_change_the_appearance() -> None:
    tracker = SingleCameraTracker(tracker_settings())
    covered = [(100, 100, 140, 200), (110, 100, 150, 200)]
    for index in range(6):
        tracked = tracker.update(make_frame(index), make_detections(covered, embeddings=one_hot(0, 1)))
    assert tracked.good_crop.tolist() == [False, False]
    # Nobody has an appearance, so a swap of the embeddings changes nothing.
    swapped = tracker.update(make_frame(6), make_detections(covered, embeddings=one_hot(1, 0)))
    assert swapped.detections.xyxy[:, 0].tolist() == [100, 110]
