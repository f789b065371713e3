"""Which tracks are taken for things, because they never move, and which boxes are too weak to be shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.core.datatypes import Detections
from pipeline.single_camera.settings import TrackerSettings
from pipeline.single_camera.stillness import Stillness
from pipeline.single_camera.tracker import SingleCameraTracker, TrackedFrame
from tests.helpers.factories import make_detections, make_frame, tracker_settings

HEIGHT_PX = 100.0
# Moves the left edge of a box by this number of heights at a time in seconds.
Sway = Callable[[float], float]


def noise(sigma: float) -> Sway:
    rng = np.random.default_rng(0)
    return lambda time_s: float(rng.normal(0, sigma))


def seen(
    sway: Sway,
    seconds: float,
    confidence: float = 0.4,
    settings: TrackerSettings | None = None,
    frame_rate: float = 10.0,
) -> Stillness:
    stillness = Stillness()
    for frame in range(round(seconds * frame_rate) + 1):
        time_s = frame / frame_rate
        left = 200 + HEIGHT_PX * sway(time_s)
        xyxy = np.array([left, 100, left + 40, 100 + HEIGHT_PX], np.float32)
        stillness.observe(time_s, xyxy, confidence, settings or tracker_settings())
    return stillness


@pytest.mark.parametrize(
    ("sway", "seconds", "confidence", "still", "moved"),
    [
        pytest.param(lambda t: 0.0, 2.9, 0.4, False, False, id="too short a time"),
        pytest.param(lambda t: 0.0, 3.0, 0.4, True, False, id="still and weak for 3 s"),
        pytest.param(lambda t: 0.0, 60.0, 0.6, False, False, id="still and confident: a person may sit"),
        pytest.param(noise(0.01), 20.0, 0.4, True, False, id="the noise of a detector, one in a hundred"),
        pytest.param(lambda t: 0.04 * np.sin(t), 20.0, 0.4, False, False, id="8 % of its height: undecided"),
        pytest.param(
            lambda t: 0.1 * np.sin(t), 20.0, 0.4, False, True, id="20 % of its height: moves on the spot"
        ),
        pytest.param(lambda t: 0.5 * t, 4.0, 0.4, False, True, id="walks"),
        pytest.param(lambda t: 1.0 if 5 <= t < 5.2 else 0.0, 20.0, 0.4, True, False, id="two boxes of a passer"),
        pytest.param(lambda t: max(0.0, t - 20), 22.0, 0.4, False, True, id="stands for 20 s, then walks"),
    ],
)
def test_a_track_is_still_if_it_never_moves(
    sway: Sway, seconds: float, confidence: float, still: bool, moved: bool
) -> None:
    found = seen(sway, seconds, confidence)
    assert (found.still, found.moved) == (still, moved)


def test_who_has_moved_may_stand_as_long_as_they_like() -> None:
    assert not seen(lambda t: min(0.5 * t, 2.0), 120.0).still


@pytest.mark.parametrize(("seconds", "still"), [(9.9, False), (10.0, True)])
def test_confident_tracks_are_left_out_only_if_that_is_set(seconds: float, still: bool) -> None:
    settings = tracker_settings(confident_still_after_s=10.0)
    assert seen(lambda t: 0.0, seconds, 0.9, settings).still == still


@pytest.mark.parametrize("frame_rate", [4.0, 7.0, 25.0, 60.0])
def test_the_frame_rate_does_not_matter(frame_rate: float) -> None:
    assert seen(noise(0.01), 30.0, frame_rate=frame_rate).still
    assert seen(lambda t: 0.1 * np.sin(t), 30.0, frame_rate=frame_rate).moved


def test_few_boxes_say_nothing() -> None:
    assert not seen(lambda t: 0.0, 8.0, frame_rate=1.0).still  # nine boxes
    assert seen(lambda t: 0.0, 9.0, frame_rate=1.0).still


# -- in the tracker --------------------------------------------------------------------------------------------


def tracked(
    seconds: float,
    confidence: Callable[[float], float],
    settings: TrackerSettings | None = None,
    *,
    class_id: int = 0,
    other: Callable[[float], tuple[float, float, float, float] | None] = lambda t: None,
) -> list[TrackedFrame]:
    """Follow a box at one place, at 10 frames per second, that begins with confidence .6; `other` may cover it."""
    tracker = SingleCameraTracker(settings or tracker_settings(), 0.3, {0})
    frames = []
    for number in range(round(seconds * 10) + 1):
        boxes = [(200.0, 100.0, 240.0, 200.0)]
        sure = [0.6 if number < 2 else confidence(number / 10)]
        if (second := other(number / 10)) is not None:
            boxes.append(second)
            sure.append(0.9)
        detections: Detections = make_detections(boxes, confidence=sure, class_id=class_id)
        frames.append(tracker.update(make_frame(number), detections))
    return frames


def of_first(frames: list[TrackedFrame], name: str) -> list[bool]:
    """One flag of track 1 in each frame in which it is seen."""
    return [
        bool(getattr(frame, name)[row])
        for frame in frames
        for row in np.flatnonzero(frame.track_ids == 1).tolist()
    ]


def test_a_still_weak_track_is_marked_from_3_s_on() -> None:
    marked = of_first(tracked(5, lambda t: 0.42), "still")
    # Confirmed in the second frame; the 31st is 3 s after the first.
    assert marked == [False] * 29 + [True] * 21


def test_it_is_not_marked_if_all_tracks_are_wanted_or_it_is_of_another_class() -> None:
    assert not any(of_first(tracked(5, lambda t: 0.42, tracker_settings(leave_out_still=False)), "still"))
    assert not any(of_first(tracked(5, lambda t: 0.42, class_id=1), "still"))


def test_boxes_of_a_track_are_not_shown_while_its_mean_confidence_is_low() -> None:
    # From .6, the mean follows to .3 within about 1 s: .3 + .3 exp(-t) < .45 from t = .69 s on.
    weak = of_first(tracked(3, lambda t: 0.3), "weak")
    assert weak.index(True) == 7
    assert all(weak[7:])
    # A moment of low confidence is not enough.
    assert not any(of_first(tracked(3, lambda t: 0.2 if 1 <= t < 1.2 else 0.7), "weak"))
    assert not any(of_first(tracked(3, lambda t: 0.3, tracker_settings(shown_confidence=0.0)), "weak"))


def test_low_confidence_says_nothing_while_another_box_covers_the_person() -> None:
    covering = tracked(3, lambda t: 0.3, other=lambda t: (190.0, 120.0, 235.0, 230.0) if t >= 0.2 else None)
    assert not any(of_first(covering, "weak"))
    assert not any(of_first(covering, "still"))
