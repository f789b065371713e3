"""What is done to saved detections before they are tracked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.benchmark.perfect_boxes import PerfectBoxes
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.core.datatypes import Frame
from pipeline.core.fake_models import FakeDetector
from pipeline.files.track_boxes import TrackBoxes, thinned_boxes
from pipeline.sources.part import PartOfSource
from tests.helpers.factories import make_detections, make_frame, one_hot


def truth(frames: Sequence[int], xyxy: Sequence[Sequence[float]]) -> TrackBoxes:
    count = len(frames)
    return TrackBoxes(
        np.array(frames, np.int64),
        np.arange(1, count + 1, dtype=np.int64),
        np.array(xyxy, np.float64),
        np.ones(count),
    )


def test_every_third_frame_keeps_its_number_and_time() -> None:
    (source,) = SimulatedWorld(cameras=1, people=1, frame_rate=10).sources(8)
    thinned = PartOfSource(source, stride=3)
    assert thinned.frame_count == 3
    assert thinned.frame_rate == pytest.approx(10 / 3)
    assert [(frame.frame_index, frame.time_s) for frame in thinned] == [
        (0, 0.0),
        (3, pytest.approx(0.3)),
        (6, pytest.approx(0.6)),
    ]
    boxes = truth([0, 1, 3, 3, 5], [(0, 0, 10, 10)] * 5)
    assert thinned_boxes(boxes, 3).ids.tolist() == [1, 3, 4]
    assert thinned_boxes(boxes, 1).ids.tolist() == boxes.ids.tolist()


def test_perfect_boxes_take_the_embeddings_of_the_detections_on_them() -> None:
    """Frame 4: one person is found well (IoU 1), one half (IoU 1/3), one not at all; a false alarm is left out."""
    boxes = truth([2, 4, 4, 4], [(0, 0, 9, 9), (0, 0, 10, 20), (50, 0, 60, 20), (100, 0, 110, 20)])
    found = make_detections(
        [(0, 0, 10, 20), (55, 0, 65, 20), (300, 0, 310, 20)],
        embeddings=[one_hot(0)[0], one_hot(1)[0], one_hot(2)[0]],
        embedded=[True, True, True],
    )

    def detector(frame: Frame) -> object:
        return found

    perfect = PerfectBoxes(FakeDetector(detector), {"cam1": boxes})  # type: ignore[arg-type]
    (detections,) = perfect.detect([make_frame(4)])
    assert detections.xyxy.tolist() == boxes.xyxy[1:].tolist()
    assert detections.confidence.tolist() == [1, 1, 1]
    assert detections.embedded is not None
    assert detections.embeddings is not None
    assert detections.embedded.tolist() == [True, False, False]
    assert detections.embeddings[0].tolist() == one_hot(0)[0].tolist()
    (nobody,) = perfect.detect([make_frame(7)])
    assert len(nobody) == 0


def test_a_hidden_person_does_not_get_the_look_of_the_one_in_front() -> None:
    """One detection overlaps two true boxes by more than half: it is of the one it fits better. With a second
    detection both have one, though the first fits either of them better."""
    boxes = truth([4, 4], [(2, 0, 12, 20), (0, 0, 10, 20)])
    front = make_detections([(0, 0, 10, 20)], embeddings=[one_hot(0)[0]], embedded=[True])
    both = make_detections(
        [(1, 0, 11, 20), (4, 0, 14, 20)], embeddings=[one_hot(0)[0], one_hot(1)[0]], embedded=[True, True]
    )
    found = []
    for seen in (front, both):
        perfect = PerfectBoxes(FakeDetector(lambda frame, seen=seen: seen), {"cam1": boxes})  # type: ignore[misc]
        (detections,) = perfect.detect([make_frame(4)])
        assert detections.embedded is not None
        assert detections.embeddings is not None
        found.append((detections.embedded.tolist(), detections.embeddings.argmax(axis=1).tolist()))
    assert found[0] == ([False, True], [0, 0])
    assert found[1] == ([True, True], [1, 0])
