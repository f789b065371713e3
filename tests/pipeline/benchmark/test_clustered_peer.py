"""Tracks of one-camera trackers joined by the mean of their embeddings, with distances that can be counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from pipeline.benchmark.clustered_peer import ClusteredPeer
from pipeline.benchmark.contestants import Tracked
from pipeline.benchmark.peer import Peer, PeerTracks
from pipeline.core.datatypes import Detections, FloatArray, Frame
from pipeline.files.track_boxes import TrackBoxes
from pipeline.sources.base import FrameSource
from tests.helpers.factories import at_distance, default_config, make_detections, make_frame, one_hot

HIGH = default_config().tracker.good_crop_height_px + 20
Person = tuple[range, float, FloatArray]
"""The frames in which somebody is there, the left border of a box 40 px wide, the embedding."""


class EmptyFrames(FrameSource):
    """Twenty frames of 1000 x 500 px without pictures, ten a second."""

    def __init__(self, camera_id: str) -> None:
        super().__init__(camera_id, "made up", frame_count=20, frame_rate=10.0, size_wh=(1000, 500))

    def _frames(self) -> Iterator[Frame]:
        for index in range(20):
            yield make_frame(index, camera_id=self.camera_id)


class Seats:
    """A tracker that knows people by where they sit: the id is the left border."""

    def update(self, frame: Frame, detections: Detections) -> PeerTracks:
        return PeerTracks.of(detections.xyxy[:, 0], detections.xyxy)

    def close(self) -> None:
        """Nothing is open."""


class Scene:
    """A detector that finds the people of each camera."""

    class_names: Mapping[int, str] = {0: "person"}
    model_hash = "scene"

    def __init__(self, cameras: Mapping[str, Sequence[Person]], confidence: float = 0.9) -> None:
        self._cameras, self._confidence = cameras, confidence

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        (frame,) = frames
        here = [person for person in self._cameras[frame.camera_id] if frame.frame_index in person[0]]
        xyxy = [(left, 50, left + 40, 50 + HIGH) for _, left, _ in here]
        if not here:
            return [Detections.empty()]
        return [make_detections(xyxy, self._confidence, embeddings=[look for _, _, look in here])]


def clustered(
    cameras: Mapping[str, Sequence[Person]], *, confidence: float = 0.9, memory_s: float = 60.0
) -> ClusteredPeer:
    sources: list[FrameSource] = [EmptyFrames(name) for name in cameras]
    settings = default_config().tracker
    peer = Peer("seats", lambda frame_rate: Seats())
    return ClusteredPeer(peer, sources, Scene(cameras, confidence), settings, memory_s)


def ids(tracked: Tracked) -> dict[str, list[int]]:
    """Of each camera the global ids of its tracks, from left to right."""
    result = {}
    for camera, found in tracked.boxes.items():
        tracks, first = np.unique(found.track_id, return_index=True)
        result[camera] = found.boxes.ids[first].tolist()
        assert all(len(set(found.boxes.ids[found.track_id == track].tolist())) == 1 for track in tracks)
    return result


ALL = range(20)
# Cosine distances 0 and .3 from one_hot(0), 1 from one_hot(5).
TWO_VIEWS: Mapping[str, Sequence[Person]] = {
    "a": [(ALL, 100, one_hot(0)[0]), (ALL, 500, one_hot(5)[0])],
    "b": [(ALL, 100, at_distance(0.3)), (ALL, 500, one_hot(5)[0])],
}


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        pytest.param(0.2, {"a": [1, 2], "b": [3, 2]}, id="only those who look the same"),
        pytest.param(0.4, {"a": [1, 2], "b": [1, 2]}, id="also those at a distance of 0.3"),
        pytest.param(1.5, {"a": [1, 2], "b": [1, 2]}, id="never two who are in one picture"),
    ],
)
def test_tracks_are_joined_up_to_a_mean_distance(threshold: float, expected: dict[str, list[int]]) -> None:
    assert ids(clustered(TWO_VIEWS).joined(threshold)) == expected


def test_the_mean_of_a_track_is_what_counts() -> None:
    """Half of the frames look like one_hot(0), half like one_hot(1): the mean is at 1 - 1 / sqrt 2 = 0.29 of both."""
    half = {
        "a": [(range(10), 100, one_hot(0)[0]), (range(10, 20), 100, one_hot(1)[0])],
        "b": [(ALL, 100, one_hot(0)[0])],
    }
    assert ids(clustered(half).joined(0.28)) == {"a": [1], "b": [2]}
    assert ids(clustered(half).joined(0.31)) == {"a": [1], "b": [1]}


def test_crops_that_are_not_good_say_nothing() -> None:
    unsure = default_config().tracker.good_crop_confidence - 0.1
    assert ids(clustered(TWO_VIEWS, confidence=unsure).joined(2.0)) == {"a": [1, 2], "b": [3, 4]}


def test_who_was_away_for_longer_than_the_memory_is_new() -> None:
    """Frame 4 to frame 15: away for 1.1 s."""
    back = {"a": [(range(5), 100, one_hot(0)[0])], "b": [(range(15, 20), 100, one_hot(0)[0])]}
    assert ids(clustered(back, memory_s=2.0).joined(0.1)) == {"a": [1], "b": [1]}
    assert ids(clustered(back, memory_s=1.0).joined(0.1)) == {"a": [1], "b": [2]}


def test_the_best_threshold_is_the_one_that_the_ground_truth_likes_most() -> None:
    """The left people are one person or two, at a distance of 0.3."""

    def truth(left_in_b: int) -> dict[str, TrackBoxes]:
        xyxy = np.array([(left, 50, left + 40, 50 + HIGH) for left in (100, 500)] * 20, np.float64)
        frames = np.repeat(np.arange(20), 2)
        return {
            "a": TrackBoxes(frames, np.tile([1, 2], 20), xyxy, np.ones(40)),
            "b": TrackBoxes(frames, np.tile([left_in_b, 2], 20), xyxy, np.ones(40)),
        }

    run = clustered(TWO_VIEWS)
    assert ids(run.best_joined(truth(1))) == {"a": [1, 2], "b": [1, 2]}
    assert ids(run.best_joined(truth(3))) == {"a": [1, 2], "b": [3, 2]}


def test_nobody_at_all() -> None:
    run = clustered({"a": [], "b": []})
    assert ids(run.joined(0.3)) == {"a": [], "b": []}
    assert ids(run.best_joined({"a": TrackBoxes.empty()})) == {"a": [], "b": []}
