"""Which people a result shows, and detections without those of some frames."""

from __future__ import annotations

import numpy as np

from pipeline.benchmark.quiet_frames import SearchedFrames, found_people, under_changing_light
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.models import Detector
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes


def boxes_of(*rows: tuple[int, int, float]) -> TrackBoxes:
    """Boxes of 10x20 px: (frame, id, left)."""
    frames, ids, lefts = (np.array(column) for column in zip(*rows, strict=True))
    xyxy = np.stack([lefts, np.zeros(len(rows)), lefts + 10, np.full(len(rows), 20)], axis=1).astype(float)
    return TrackBoxes(frames.astype(np.int64), ids.astype(np.int64), xyxy, np.ones(len(rows)))


def test_who_is_found() -> None:
    truth = {"a": boxes_of((0, 1, 0), (1, 1, 0), (1, 2, 50), (2, 3, 90)), "b": boxes_of((0, 1, 0))}
    # Person 1 in frame 1 (IoU .82); person 2 is missed by half a box (IoU .33); nobody looks for person 3.
    result = boxes_of((1, 7, 1), (1, 8, 55))
    found = {"a": TrajectoryBoxes(result, result.ids)}
    assert found_people(found, truth) == {("a", 1)}


def test_frames_that_are_not_searched_have_no_boxes() -> None:
    class Everywhere(Detector):
        def detect(self, frames):  # type: ignore[no-untyped-def]
            box = np.array([[0, 0, 10, 20]], np.float32)
            return [Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64)) for _ in frames]

    detector = SearchedFrames(Everywhere(), {"a": frozenset({3})})
    frames = [
        Frame(camera, number, 0.1 * number, (40, 30), None) for camera, number in (("a", 3), ("a", 4), ("b", 3))
    ]
    assert [len(one) for one in detector.detect(frames)] == [0, 1, 1]


def test_the_light_changes_slowly_and_is_switched() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    # At 0 s it is as it was; at 4.25 s, a quarter of 17 s, 1.2 times as bright; at 9 s it is switched to .65.
    assert under_changing_light(grey, 0.0)[0, 0, 0] == 100
    assert under_changing_light(grey, 4.25)[0, 0, 0] == 120
    assert abs(int(under_changing_light(grey, 8.99)[0, 0, 0]) - int(under_changing_light(grey, 9.0)[0, 0, 0])) > 30
