from __future__ import annotations

import threading

import pytest

from pipeline.live.cameras.frame_board import FrameBoard, LiveFrame
from pipeline.live.telling.status import TimestampSource
from tests.helpers.live.fakes import SIZE_WH, FakeClock, picture


def frame(camera: str, index: int, clock: FakeClock, age_s: float = 0.0, least_age_s: float = 0.0) -> LiveFrame:
    return LiveFrame(
        camera,
        index,
        clock.utc_s() - age_s,
        TimestampSource.HOST,
        age_s,
        age_s - least_age_s,
        clock.monotonic_s(),
        SIZE_WH,
        picture().to_bgr,
    )


def board(clock: FakeClock) -> tuple[FrameBoard, list[tuple[str, str]]]:
    dropped: list[tuple[str, str]] = []
    return FrameBoard(clock, lambda camera, cause: dropped.append((camera, cause))), dropped


def test_the_freshest_frame_of_each_camera_is_taken_and_the_others_are_counted() -> None:
    clock = FakeClock()
    shown, dropped = board(clock)
    for index in range(3):
        shown.put(frame("a", index, clock))
    shown.put(frame("b", 0, clock, age_s=0.2))
    taken = shown.take(wait_s=0, batch_wait_s=0, max_age_s=0.5)
    assert [(one.camera_id, one.frame_index) for one in taken] == [("b", 0), ("a", 2)]  # in order of time
    assert dropped == [("a", "overwritten")] * 2
    assert shown.take(wait_s=0, batch_wait_s=0, max_age_s=0.5) == []


def test_a_frame_that_waited_too_long_is_dropped() -> None:
    clock = FakeClock()
    shown, dropped = board(clock)
    shown.put(frame("a", 0, clock, age_s=0.2))
    clock.turn(0.4)
    shown.put(frame("b", 0, clock))
    assert [one.camera_id for one in shown.take(wait_s=0, batch_wait_s=0, max_age_s=0.5)] == ["b"]
    assert dropped == [("a", "too_old")]


def test_an_age_that_all_frames_of_a_camera_have_drops_none() -> None:
    """Its clock may be a little behind, or its network slow: the next frame would be no better."""
    clock = FakeClock()
    shown, dropped = board(clock)
    shown.put(frame("a", 0, clock, age_s=0.45, least_age_s=0.45))
    clock.turn(0.2)
    (taken,) = shown.take(wait_s=0, batch_wait_s=0, max_age_s=0.5)
    assert taken.late_at(clock.monotonic_s()) == pytest.approx(0.2)
    assert dropped == []


def test_a_batch_waits_for_cameras_that_are_up_and_for_no_other() -> None:
    clock = FakeClock()
    shown, _ = board(clock)
    for camera in ("a", "b"):
        shown.put(frame(camera, 0, clock))
    shown.take(wait_s=0, batch_wait_s=0, max_age_s=0.5)
    shown.put(frame("a", 1, clock))
    late = threading.Timer(0.1, lambda: shown.put(frame("b", 1, clock)))
    late.start()
    taken = shown.take(wait_s=0, batch_wait_s=30, max_age_s=0.5)
    late.join()
    assert {one.camera_id for one in taken} == {"a", "b"}
    shown.do_not_expect("b")
    shown.put(frame("a", 2, clock))
    # Would not come back for 30 s if it waited for b.
    assert [one.camera_id for one in shown.take(wait_s=0, batch_wait_s=30, max_age_s=0.5)] == ["a"]


def test_closing_wakes_whoever_waits() -> None:
    shown, _ = board(FakeClock())
    threading.Timer(0.05, shown.close).start()
    assert shown.take(wait_s=30, batch_wait_s=0, max_age_s=0.5) == []
