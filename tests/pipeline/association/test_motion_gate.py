"""Which frames the detector has to search, on made pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.association.gated_detector import GatedDetector, skipped_frames
from pipeline.association.motion_gate import GateSettings, MotionGate
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.models import Detector

WIDTH, HEIGHT, FPS = 320, 180, 10.0
# Frames are searched for 2.2 s after a box; a box of .5 starts a track, one of .1 continues it.
SETTINGS = GateSettings(interval_s=1.0, min_change=4.0, hold_s=2.2, start_confidence=0.5, keep_confidence=0.1)
# 60 px high and 22 px wide in a picture of 320 px.
PERSON_WH = (22, 60)
NOISE = np.random.default_rng(0).normal(0, 3, (5, HEIGHT, WIDTH, 3)).astype(np.float32)


def scene(seed: int = 0) -> NDArray[np.uint8]:
    """A picture with texture."""
    coarse = np.random.default_rng(seed).integers(60, 180, (9, 16, 3)).astype(np.uint8)
    return np.asarray(np.kron(coarse, np.ones((20, 20, 1))), np.uint8)


def noisy(image: NDArray[np.uint8], number: int, gain: float = 1.0) -> NDArray[np.uint8]:
    """The picture with noise of 3 grey levels."""
    noise = np.roll(NOISE[number % len(NOISE)], number, axis=1)
    return np.asarray(np.clip(image * np.float32(gain) + noise, 0, 255), np.uint8)


def with_person(image: NDArray[np.uint8], x: float, y: float, contrast: int) -> NDArray[np.uint8]:
    """The picture with a figure of another brightness at left, top; a part of it may be outside."""
    left, top = round(x), round(y)
    columns = slice(max(left, 0), max(left + PERSON_WH[0], 0))
    rows = slice(max(top, 0), max(top + PERSON_WH[1], 0))
    changed = image.copy()
    changed[rows, columns] = np.clip(changed[rows, columns].astype(int) + contrast, 0, 255)
    return changed


def searched(pictures: Sequence[NDArray[np.uint8]], confidences: dict[int, float] | None = None) -> list[int]:
    """Numbers of the frames that are searched, 10 a second; `confidences` are those of a box in some frames."""
    gate, numbers = MotionGate(SETTINGS), []
    for number, picture in enumerate(pictures):
        if gate.needs_search(picture, number / FPS):
            numbers.append(number)
            found = (confidences or {}).get(number)
            gate.searched(number / FPS, np.array([] if found is None else [found], np.float32))
    return numbers


def test_an_empty_scene_is_searched_once_a_second() -> None:
    pictures = [noisy(scene(), number) for number in range(41)]
    assert searched(pictures) == [0, 10, 20, 30, 40]


def test_all_frames_are_searched_until_the_last_track_has_ended() -> None:
    pictures = [noisy(scene(), number) for number in range(61)]
    # The box in frame 10 holds until 3.2 s, the weak one in frame 30 continues it until 5.2 s.
    assert searched(pictures, {10: 0.5, 30: 0.1}) == [0, *range(10, 53)]


def test_a_weak_box_alone_starts_nothing() -> None:
    pictures = [noisy(scene(), number) for number in range(31)]
    assert searched(pictures, {10: 0.49}) == [0, 10, 20, 30]


@pytest.mark.parametrize(("contrast", "first"), [(60, 13), (-60, 13), (25, 13)])
def test_who_enters_is_searched_at_once(contrast: int, first: int) -> None:
    """From frame 13 on, 8 px per frame from the left: in the first of them 8 columns are visible."""
    empty = scene()
    pictures = [
        noisy(empty if number < 13 else with_person(empty, 8 * (number - 12) - PERSON_WH[0], 60, contrast), number)
        for number in range(20)
    ]
    assert searched(pictures)[:3] == [0, 10, first]


def test_a_lamp_that_is_switched_is_searched_and_then_becomes_background() -> None:
    pictures = [noisy(scene(), number, gain=1.0 if number < 20 else 1.3) for number in range(150)]
    numbers = searched(pictures)
    assert set(range(20, 30)) <= set(numbers)
    assert numbers[-4:] == [number for number in numbers if number >= 110]
    assert [b - a for a, b in zip(numbers[-4:], numbers[-3:], strict=False)] == [10, 10, 10]


def test_leaves_that_always_move_do_not_hide_who_walks_elsewhere() -> None:
    empty = scene()
    rng = np.random.default_rng(1)
    leaves = [with_person(empty, 250 + rng.integers(0, 4), 20, int(rng.integers(-40, 40))) for _ in range(140)]
    quiet = searched([noisy(picture, number) for number, picture in enumerate(leaves)])
    assert len([number for number in quiet if number >= 80]) < 40  # of 60; all are searched in the beginning
    walker = [
        noisy(with_person(picture, 8 * (number - 120), 60, 40) if number >= 120 else picture, number)
        for number, picture in enumerate(leaves)
    ]
    assert set(range(123, 140)) <= set(searched(walker))


def test_another_size_or_an_earlier_time_starts_anew() -> None:
    gate = MotionGate(SETTINGS)
    assert gate.needs_search(scene(), 5.0)
    gate.searched(5.0, np.zeros(0, np.float32))
    assert not gate.needs_search(scene(), 5.1)
    assert gate.needs_search(scene()[:90], 5.2)
    gate.searched(5.2, np.zeros(0, np.float32))
    assert not gate.needs_search(scene()[:90], 5.3)
    assert gate.needs_search(scene()[:90], 5.3)
    gate.searched(5.3, np.array([0.9], np.float32))
    assert gate.needs_search(scene()[:90], 1.0)
    gate.searched(1.0, np.zeros(0, np.float32))
    assert not gate.needs_search(scene()[:90], 1.1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 5, 3), (3, 700, 3), (1000, 2, 3)])
def test_tiny_and_narrow_pictures(shape: tuple[int, int, int]) -> None:
    gate = MotionGate(SETTINGS)
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    assert gate.needs_search(black, 0.0)
    gate.searched(0.0, np.zeros(0, np.float32))
    assert not gate.needs_search(black, 0.1)
    assert gate.needs_search(white, 0.2)


class Watching(Detector):
    """Finds the person of the pictures if at least half of the figure is visible, and notes what it searched."""

    def __init__(self, visible: dict[int, float]) -> None:
        self._visible = visible
        self.searched: list[tuple[str, int]] = []

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        self.searched += [(frame.camera_id, frame.frame_index) for frame in frames]
        return [self._found(frame) for frame in frames]

    def _found(self, frame: Frame) -> Detections:
        if frame.camera_id == "still" or self._visible.get(frame.frame_index, 0.0) < 0.5:
            return Detections.empty()
        box = np.array([[0, 0, *PERSON_WH]], np.float32)
        return Detections(box, np.array([0.8], np.float32), np.array([0], np.int64))


def frame_of(camera: str, number: int, image: NDArray[np.uint8] | None, time_s: float | None = None) -> Frame:
    return Frame(camera, number, number / FPS if time_s is None else time_s, (WIDTH, HEIGHT), image)


@settings(deadline=None, max_examples=15)
@given(
    speed_px=st.floats(0.2, 12.0),
    rises=st.booleans(),
    contrast=st.sampled_from([-70, -30, -15, 15, 30, 70]),
    begin=st.integers(5, 40),
    wave=st.floats(0.0, 0.3),
    switched_at=st.integers(0, 80),
    seed=st.integers(0, 5),
)
def test_nobody_is_lost_and_a_track_never_misses_a_frame(
    speed_px: float, rises: bool, contrast: int, begin: int, wave: float, switched_at: int, seed: int
) -> None:
    """Somebody enters or stands up at any speed while the light changes: found within the interval, then in all
    frames as long as they are visible and 2 s longer."""
    empty, visible = scene(seed), {}
    detector = Watching(visible)
    gated = GatedDetector(detector, SETTINGS)
    for number in range(80):
        way = max(0.0, (number - begin) * speed_px)
        shown = min(1.0, way / PERSON_WH[rises])
        visible[number] = shown if way < WIDTH else 0.0
        x, y = (100.0, HEIGHT - min(way, PERSON_WH[1])) if rises else (way - PERSON_WH[0], 60.0)
        gain = (1 + wave * math.sin(number / 20)) * (0.7 if number >= switched_at else 1.0)
        picture = noisy(with_person(empty, x, y, contrast), number, gain=gain)
        gated.detect([frame_of("door", number, picture)])
    there = [number for number, share in visible.items() if share >= 0.5]
    looked = [number for _, number in detector.searched]
    if len(there) > 10:
        first = min(number for number in looked if number in there)
        assert first <= there[0] + 10
        assert set(range(first, min(there[-1] + 20, 80))) <= set(looked)
    assert gated.skipped["door"] == 80 - len(looked)


def test_cameras_are_independent_and_the_order_of_results_is_that_of_the_frames() -> None:
    visible = dict.fromkeys(range(5, 20), 1.0)
    detector = Watching(visible)
    gated = GatedDetector(detector, SETTINGS)
    for number in range(20):
        person = with_person(scene(), 100, 60, 60) if number >= 5 else scene()
        still, door = gated.detect([frame_of("still", number, scene()), frame_of("door", number, person)])
        assert len(still) == 0
        assert len(door) == (number >= 5)
    assert [number for camera, number in detector.searched if camera == "still"] == [0, 10]
    assert [number for camera, number in detector.searched if camera == "door"] == [0, *range(5, 20)]
    assert skipped_frames(gated) == {"still": 18, "door": 4}
    assert skipped_frames(detector) == {}


def test_frames_without_pixels_are_always_searched() -> None:
    detector = Watching({})
    gated = GatedDetector(detector, SETTINGS)
    for number in range(5):
        gated.detect([frame_of("door", number, None)])
    assert len(detector.searched) == 5
    assert not gated.skipped


def test_a_search_that_failed_is_made_up_for() -> None:
    class Failing(Watching):
        def detect(self, frames: Sequence[Frame]) -> list[Detections]:
            super().detect(frames)
            if len(self.searched) == 2:
                raise RuntimeError("out of memory")
            return [Detections.empty() for _ in frames]

    detector = Failing({})
    gated = GatedDetector(detector, SETTINGS)
    for number in range(13):
        if number == 10:
            with pytest.raises(RuntimeError, match="out of memory"):
                gated.detect([frame_of("door", number, scene())])
        else:
            gated.detect([frame_of("door", number, scene())])
    assert [number for _, number in detector.searched] == [0, 10, 11]


def test_what_it_tells_of_itself_is_what_the_detector_tells() -> None:
    detector = Watching({})
    gated = GatedDetector(detector, SETTINGS)
    assert (gated.class_names, gated.model_hash, gated.computation) == (
        detector.class_names,
        detector.model_hash,
        detector.computation,
    )
