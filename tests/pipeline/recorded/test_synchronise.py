from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.datatypes import Frame
from pipeline.recorded.synchronise import Tick, synchronise
from pipeline.sources.base import BrokenSource
from tests.helpers.factories import make_frame


def camera(
    camera_id: str,
    frames: int,
    frame_rate: float,
    start_s: float = 0.0,
    rate: float = 1.0,
    breaks_at: int | None = None,
) -> Iterator[Frame]:
    """`rate` as of a camera's clock: shared seconds per second of its own."""
    for index in range(frames):
        if index == breaks_at:
            raise BrokenSource(camera_id, f"{camera_id}.mp4", index, "it broke")
        yield make_frame(index, start_s + rate * index / frame_rate, camera_id=camera_id)


def ticks(*cameras: Iterator[Frame], window_s: float = 0.05) -> list[Tick]:
    broken: list[BrokenSource] = []
    result = list(synchronise(cameras, window_s, broken.append))
    assert broken == []
    return result


def names(tick: Tick) -> list[tuple[str, int]]:
    return [(frame.camera_id, frame.frame_index) for frame in tick]


def test_cameras_of_one_rate_share_every_tick() -> None:
    found = ticks(camera("a", 3, 10), camera("b", 3, 10))
    assert [names(tick) for tick in found] == [[("a", n), ("b", n)] for n in range(3)]


def test_different_rates() -> None:
    found = ticks(camera("a", 4, 10), camera("b", 2, 5))
    assert [names(tick) for tick in found] == [[("a", 0), ("b", 0)], [("a", 1)], [("a", 2), ("b", 1)], [("a", 3)]]


def test_a_camera_that_begins_later_and_one_that_ends_earlier() -> None:
    found = ticks(camera("a", 2, 10), camera("b", 2, 10, start_s=0.1))
    assert [names(tick) for tick in found] == [[("a", 0)], [("a", 1), ("b", 0)], [("b", 1)]]


def test_frames_further_apart_than_the_window_are_two_ticks() -> None:
    found = ticks(camera("a", 2, 10), camera("b", 2, 10, start_s=0.06))
    assert [names(tick) for tick in found] == [[("a", 0)], [("b", 0), ("a", 1)], [("b", 1)]]


def test_a_tick_is_in_order_of_time_and_then_of_the_cameras() -> None:
    found = ticks(camera("a", 1, 10, start_s=0.02), camera("b", 1, 10), camera("c", 1, 10))
    assert [names(tick) for tick in found] == [[("b", 0), ("c", 0), ("a", 0)]]


def test_two_near_frames_of_a_camera_with_an_uneven_rate_are_two_ticks() -> None:
    uneven = iter([make_frame(0, 0.0, camera_id="a"), make_frame(1, 0.01, camera_id="a")])
    assert [names(tick) for tick in ticks(uneven)] == [[("a", 0)], [("a", 1)]]


def test_no_camera_and_cameras_without_frames() -> None:
    assert ticks() == []
    assert ticks(camera("a", 0, 10)) == []


def test_a_camera_that_breaks_is_told_of_and_the_others_go_on() -> None:
    broken: list[BrokenSource] = []
    cameras = [camera("a", 9, 10, breaks_at=2), camera("b", 4, 10), camera("c", 4, 10, breaks_at=0)]
    found = list(synchronise(cameras, 0.05, broken.append))
    assert [names(tick) for tick in found] == [[("a", 0), ("b", 0)], [("a", 1), ("b", 1)], [("b", 2)], [("b", 3)]]
    assert [str(error) for error in broken] == [
        "camera c: c.mp4, frame index 0: it broke",
        "camera a: a.mp4, frame index 2: it broke",
    ]


def test_other_errors_are_not_swallowed() -> None:
    def wrong() -> Iterator[Frame]:
        yield make_frame(0)
        raise KeyError("a mistake in the program")

    with pytest.raises(KeyError):
        ticks(wrong())


def test_frames_are_read_no_further_ahead_than_one_a_camera() -> None:
    read: list[int] = []

    def counted() -> Iterator[Frame]:
        for frame in camera("a", 100, 10):
            read.append(frame.frame_index)
            yield frame

    found = synchronise([counted(), camera("b", 100, 10)], 0.05, lambda broken: None)
    for _ in range(3):
        next(found)
    assert read == [0, 1, 2]


_cameras = st.lists(
    st.tuples(
        st.integers(0, 30), st.sampled_from([1, 7, 10, 29.97, 30]), st.floats(-1, 2), st.floats(0.999, 1.001)
    ),
    max_size=4,
)


@given(_cameras)
def test_every_frame_once_and_in_order(rows: list[tuple[int, float, float, float]]) -> None:
    cameras = [camera(str(number), *row) for number, row in enumerate(rows)]
    window_s = 0.5 / max((row[1] for row in rows), default=1)
    found = ticks(*cameras, window_s=window_s)
    frames = [frame for tick in found for frame in tick]
    assert (
        len({(frame.camera_id, frame.frame_index) for frame in frames})
        == len(frames)
        == sum(row[0] for row in rows)
    )
    for number in range(len(rows)):
        own = [frame.frame_index for frame in frames if frame.camera_id == str(number)]
        assert own == sorted(own)
    for tick in found:
        times_s = [frame.time_s for frame in tick]
        assert times_s == sorted(times_s)
        assert times_s[-1] - times_s[0] <= window_s
        assert len({frame.camera_id for frame in tick}) == len(tick)
    assert all(later[0].time_s >= earlier[0].time_s for earlier, later in pairwise(found))
