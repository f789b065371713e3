"""Which frames a preview gets, when, and with which rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import Frame, Link, LinkedRow, TrajectoryRow
from pipeline.drawing.preview_feed import PreviewFeed
from tests.helpers.factories import make_frame

NO_BOXES = np.zeros((0, 4), np.float32)
Seen = tuple[str, int, list[int]]


class Watcher:
    """Keeps camera, frame index and track ids of what it gets."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def __call__(self, frame: Frame, xyxy: Boxes, rows: Sequence[LinkedRow]) -> None:
        self.seen.append((frame.camera_id, frame.frame_index, [linked.row.track_id for linked in rows]))


def frame(camera_id: str, frame_index: int, time_s: float) -> Frame:
    return make_frame(frame_index, time_s, camera_id=camera_id, image=np.zeros((4, 4, 3), np.uint8))


def row(camera_id: str, frame_index: int, track_id: int) -> LinkedRow:
    trajectory = TrajectoryRow(camera_id, track_id, frame_index, frame_index / 10, "person", (0, 0, 9, 9), 0.9)
    return LinkedRow(trajectory, Link(1, 1.0))


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (10.0, list(range(10))),
        (30.0, list(range(10))),
        (5.0, [0, 2, 4, 6, 8]),
        (4.0, [0, 3, 5, 8]),  # due at 0, 0.25, 0.5 and 0.75 s
        (1.0, [0]),
    ],
)
def test_number_of_frames_per_second(fps: float, expected: list[int]) -> None:
    watcher = Watcher()
    feed = PreviewFeed(watcher, fps)
    for index in range(10):
        feed.offer(frame("a", index, index / 10), NO_BOXES)
    feed.rows([], np.inf)
    assert [index for _, index, _ in watcher.seen] == expected


def test_after_a_gap_no_frames_are_made_up_for() -> None:
    watcher = Watcher()
    feed = PreviewFeed(watcher, 1.0)
    for index, time_s in enumerate((0.0, 10.0, 10.5, 10.9, 11.0)):
        feed.offer(frame("a", index, time_s), NO_BOXES)
    feed.rows([], np.inf)
    assert [index for _, index, _ in watcher.seen] == [0, 1, 4]


def test_a_frame_waits_for_its_rows_and_gets_no_others() -> None:
    watcher = Watcher()
    feed = PreviewFeed(watcher, 10.0)
    for index in range(3):
        for camera in "ab":
            feed.offer(frame(camera, index, index / 10), NO_BOXES)
    feed.rows([row("a", 0, 5)], -np.inf)
    assert watcher.seen == []
    feed.rows([row("b", 0, 6), row("a", 0, 7), row("a", 1, 5)], 0.1)
    assert watcher.seen == [("a", 0, [5, 7]), ("b", 0, [6])]
    feed.rows([], 0.15)
    assert watcher.seen[2:] == [("a", 1, [5]), ("b", 1, [])]
    feed.rows([row("a", 9, 5)], np.inf)
    assert watcher.seen[4:] == [("a", 2, []), ("b", 2, [])]


def test_frames_without_image_are_not_shown() -> None:
    watcher = Watcher()
    feed = PreviewFeed(watcher, 10.0)
    feed.offer(make_frame(), NO_BOXES)
    feed.rows([], np.inf)
    assert watcher.seen == []


def test_a_preview_that_fails_is_named_and_called_no_more(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def broken(failing: Frame, xyxy: Boxes, rows: Sequence[LinkedRow]) -> None:
        calls.append(failing.frame_index)
        raise OSError("no screen")

    feed = PreviewFeed(broken, 10.0)
    for camera in "ab":
        for index in range(2):
            feed.offer(frame(camera, index, index / 10), NO_BOXES)
    feed.rows([], np.inf)
    feed.offer(frame("a", 2, 1.0), NO_BOXES)
    feed.rows([], np.inf)
    assert calls == [0]
    assert [record.message for record in caplog.records] == ["the preview failed and is off now"]
