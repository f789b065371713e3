"""Which boxes a tracker wants embedded, and what it does with how they look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.core.datatypes import EmbeddedCrops
from tests.helpers.factories import (
    at_distance,
    make_detections,
    make_frame,
    make_tracker,
    one_hot,
    tracker_settings,
)
from tests.helpers.tracker_world import Box, Person, follow, walker

# -- who comes out of hiding ----------------------------------------------------------------------------------


IN_THE_OPEN, BEHIND = [(100, 200, 140, 300)], [(100, 200, 140, 300), (110, 200, 150, 300)]


def _comes_out(hidden: bool, distance: float) -> list[int]:
    """Track ids after somebody was in the open for 1 s, perhaps hidden for .3 s, and then is there for .4 s with a look
    at this cosine distance."""
    tracker = make_tracker(tracker_settings(max_cosine_distance=0.25, somebody_else_factor=1.6))
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


def test_a_crop_of_perhaps_somebody_else_describes_nobody() -> None:
    """Out of hiding, a far look at 1.3 s and a near one .3 s later."""
    tracker = make_tracker()
    frames = [make_detections(IN_THE_OPEN, embeddings=one_hot(0))] * 10
    frames += [make_detections(BEHIND)] * 3
    frames += [make_detections(IN_THE_OPEN, embeddings=one_hot(1))]
    frames += [make_detections(IN_THE_OPEN)] * 2
    frames += [make_detections(IN_THE_OPEN, embeddings=one_hot(0))] * 2
    tracked = [tracker.update(make_frame(index), frame) for index, frame in enumerate(frames)]
    assert all(frame.track_ids[0] == 1 for frame in tracked[9:])
    assert [frame.good_crop[0] for frame in tracked[9:]] == [True] + [False] * 6 + [True] * 2


def test_the_hidden_person_is_still_looked_for() -> None:
    """Somebody else stands exactly where the lost track is expected; the person then comes out beside."""
    tracker = make_tracker()
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
    tracker = make_tracker()
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
    tracker = make_tracker(tracker_settings(low_confidence=0.1, new_track_confidence=0.4))
    tracked = [tracker.update(make_frame(index), make_detections(boxes, confidence)) for index in range(5)][-1]
    assert tracked.good_crop.tolist() == good


def test_a_crop_that_is_not_good_does_not_change_the_appearance() -> None:
    tracker = make_tracker()
    covered = [(100, 100, 140, 200), (110, 100, 150, 200)]
    for index in range(6):
        tracked = tracker.update(make_frame(index), make_detections(covered, embeddings=one_hot(0, 1)))
    assert tracked.good_crop.tolist() == [False, False]
    # Nobody has an appearance, so a swap of the embeddings changes nothing.
    swapped = tracker.update(make_frame(6), make_detections(covered, embeddings=one_hot(1, 0)))
    assert swapped.detections.xyxy[:, 0].tolist() == [100, 110]


@pytest.mark.parametrize(
    ("boxes", "confidence", "partial"),
    [
        pytest.param([(0, 100, 40, 200)], [0.9], [True], id="cut off by the left border"),
        pytest.param([(100, 400, 170, 500)], [0.9], [True], id="cut off by the lower border"),
        pytest.param([(100, 100, 140, 200)], [0.9], [False], id="inside: a good crop"),
        pytest.param([(0, 100, 31, 200)], [0.9], [True], id="31 px of a person 100 px high"),
        pytest.param([(0, 100, 29, 200)], [0.9], [False], id="29 px of a person 100 px high"),
        pytest.param([(0, 100, 40, 200)], [0.49], [False], id="too unsure"),
        pytest.param([(0, 100, 40, 200), (23, 100, 63, 200)], [0.9, 0.9], [False, False], id="covered 17/40"),
    ],
)
def test_partial_crops(boxes: list[Box], confidence: list[float], partial: list[bool]) -> None:
    tracker = make_tracker(tracker_settings(low_confidence=0.1, new_track_confidence=0.4))
    tracked = [tracker.update(make_frame(index), make_detections(boxes, confidence)) for index in range(5)][-1]
    assert tracked.partial_crop.tolist() == partial


def test_partial_crops_are_embedded_at_intervals_until_there_is_a_good_one() -> None:
    tracker = make_tracker(tracker_settings(embedding_first_interval_s=0.3))
    embedded = []
    for index in range(20):
        # At the left border for 1 s, then inside the image.
        left = 0 if index < 10 else 20
        detections = make_detections([(left, 100, left + 40, 200)])
        rows = tracker.plan(make_frame(index), detections)
        if len(rows):
            detections = make_detections([(left, 100, left + 40, 200)], embeddings=one_hot(0))
            embedded.append(index)
        tracked = tracker.update(make_frame(index), detections)
        assert tracked.partial_crop.tolist() in ([], [index < 10])
    # Frames are .1 s apart. The first good crop does not wait for the interval after the last partial one.
    assert [index for index in embedded if index < 11] == [2, 5, 8, 10]
