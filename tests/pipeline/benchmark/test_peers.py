"""Trackers of others behind one call, and this project's own on the same boxes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.benchmark.boxmot_tracker import boxmot_peer
from pipeline.benchmark.contestants import run_peer, run_project
from pipeline.benchmark.peer import Peer, PeerTracks
from pipeline.benchmark.perturbed import PerturbedDetector
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.benchmark.ultralytics_trackers import TRACKERS, ultralytics_peers
from pipeline.config.config import load_config
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError, RunError
from pipeline.core.fake_models import FakeDetector
from pipeline.sources.base import FrameSource
from tests.helpers.factories import limits_of, make_detections, make_frame


class PlainFrames(FrameSource):
    """Frames of 100 x 100 pixels, black, 10 a second."""

    def __init__(self, camera_id: str, count: int) -> None:
        super().__init__(camera_id, "made up", frame_count=count, frame_rate=10.0, size_wh=(100, 100))

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.frame_count or 0):
            image = np.zeros((100, 100, 3), np.uint8)
            yield Frame(self.camera_id, index, index / 10, (100, 100), image)


def two_people(frame: Frame) -> Detections:
    """One walks to the right below the other, who stands."""
    left = 5.0 + frame.frame_index
    return make_detections([[left, 50, left + 15, 95], [60, 2, 75, 47]], 0.9)


class Countdown:
    """A tracker that numbers the boxes of each frame from 7 down."""

    closed = 0

    def update(self, frame: Frame, detections: Detections) -> PeerTracks:
        assert detections.embeddings is None
        return PeerTracks.of(range(7, 7 - len(detections), -1), detections.xyxy)

    def close(self) -> None:
        Countdown.closed += 1


def test_ids_of_a_peer_are_never_shared_by_two_cameras() -> None:
    peer = Peer("countdown", lambda frame_rate: Countdown())
    tracked = run_peer(peer, [PlainFrames("a", 2), PlainFrames("b", 3)], FakeDetector(two_people))
    a, b = tracked.boxes["a"], tracked.boxes["b"]
    assert a.boxes.ids.tolist() == [1, 2, 1, 2]
    assert b.boxes.ids.tolist() == [3, 4, 3, 4, 3, 4]
    assert b.track_id.tolist() == [7, 6] * 3
    assert b.boxes.frame_index.tolist() == [0, 0, 1, 1, 2, 2]
    assert b.boxes.xyxy[0].tolist() == [5, 50, 20, 95]
    assert tracked.ms_per_frame > 0
    assert Countdown.closed == 2


@pytest.mark.parametrize("peer", ultralytics_peers(), ids=list(TRACKERS))
def test_trackers_of_ultralytics_follow_two_people(peer: Peer) -> None:
    """Both keep one id each, in a second tracker of the process, too; its counting starts anew."""
    sources: list[FrameSource] = [PlainFrames("a", 30), PlainFrames("b", 30)]
    tracked = run_peer(peer, sources, FakeDetector(two_people))
    for camera, ids in (("a", {1, 2}), ("b", {3, 4})):
        boxes = tracked.boxes[camera].boxes
        assert set(boxes.ids.tolist()) == ids
        assert len(boxes) >= 2 * 27
        walker = boxes[boxes.xyxy[:, 1] > 40]
        assert len(set(walker.ids.tolist())) == 1
        assert np.abs(walker.xyxy[:, 0] - (5 + walker.frame_index)).max() < 2


FAKE_BOXMOT = """
import numpy as np

class BotSort:
    def __init__(self, reid_weights, device, half, lost):
        self.first = len(str(reid_weights.name)) + lost

    def update(self, detections, image):
        print("noise on the standard output")
        if image[0, 0, 0] == 99:
            raise RuntimeError("broken")
        if not len(detections):
            return np.zeros((0, 8))
        ids = self.first + np.arange(len(detections))
        return np.column_stack([detections[:, :4], ids, detections[:, 4:], ids])
"""


def installed(version: str, folder: Path) -> None:
    """What pip writes beside a package."""
    (folder / f"boxmot-{version}.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: boxmot\nVersion: {version}\n"
    (folder / f"boxmot-{version}.dist-info" / "METADATA").write_text(metadata)


@pytest.fixture
def boxmot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A package of that name whose tracker numbers boxes from 10 on."""
    package = tmp_path / "boxmot"
    (package / "trackers").mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE_BOXMOT)
    (package / "trackers" / "__init__.py").touch()
    (package / "trackers" / "config.py").write_text(
        "def load_tracker_config(name, path, options):\n    assert name == 'botsort'\n    return {'lost': 4}\n"
    )
    installed("25.3.1", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    weights = tmp_path / "o.onnx"
    weights.touch()
    return boxmot_peer(Path(sys.executable), weights)


def test_boxmot_runs_in_a_process_of_its_own(boxmot: Peer) -> None:
    assert boxmot.name == "boxmot 25.3.1 BoT-SORT + OSNet"

    def boxes(frame: Frame) -> Detections:
        return Detections.empty() if frame.frame_index == 1 else two_people(frame)

    tracked = run_peer(boxmot, [PlainFrames("a", 3)], FakeDetector(boxes))
    found = tracked.boxes["a"]
    assert found.boxes.frame_index.tolist() == [0, 0, 2, 2]
    assert found.track_id.tolist() == [10, 11, 10, 11]
    assert found.boxes.xyxy[2].tolist() == [7, 50, 22, 95]


def test_boxmot_that_stops_says_where(boxmot: Peer) -> None:
    class Broken(PlainFrames):
        def _frames(self) -> Iterator[Frame]:
            for frame in super()._frames():
                assert frame.image is not None
                if frame.frame_index == 1:
                    frame.image[:] = 99
                yield frame

    with pytest.raises(RunError, match="boxmot stopped at frame 1 of a"):
        run_peer(boxmot, [Broken("a", 3)], FakeDetector(two_people))


def test_an_environment_without_boxmot(tmp_path: Path) -> None:
    weights = tmp_path / "o.onnx"
    with pytest.raises(InputError, match="there is no file"):
        boxmot_peer(Path(sys.executable), weights)
    weights.touch()
    with pytest.raises(InputError, match="cannot import boxmot"):
        boxmot_peer(Path(sys.executable), weights)


def test_another_boxmot_is_refused_by_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "boxmot.py").write_text("print('welcome to boxmot')")
    installed("13.0.17", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    weights = tmp_path / "o.onnx"
    weights.touch()
    with pytest.raises(InputError, match=r"has boxmot 13\.0\.17, but 25 is needed"):
        boxmot_peer(Path(sys.executable), weights)


@pytest.mark.parametrize("second_pass", [False, True])
def test_the_project_on_the_same_boxes(second_pass: bool) -> None:
    """Everybody who walks through both views of a made-up world keeps one id."""
    world = SimulatedWorld(cameras=2, people=2)
    detector = world.detector()
    embedder = world.embedder()

    def with_embeddings(frame: Frame) -> Detections:
        (found,) = detector.detect([frame])
        (crops,) = embedder.embed([frame], [found.xyxy])
        return found.with_embeddings(np.arange(len(found)), crops)

    cameras = [{"name": name, "source": name} for name in world.camera_ids]
    config = load_config(None, {"cameras": cameras})
    tracked = run_project(
        config,
        limits_of(config),
        world.sources(300),
        FakeDetector(with_embeddings),
        "fake",
        second_pass=second_pass,
    )
    ids = []
    for name in world.camera_ids:
        found, counts = np.unique(tracked.boxes[name].boxes.ids, return_counts=True)
        # Online, the first second of a track may go out with an id of its own.
        ids.append(set(found[counts > 10].tolist()))
    assert len(ids[0]) == 3
    assert len(ids[1]) == 2
    assert ids[1] < ids[0]


def test_errors_depend_on_seed_camera_and_frame_alone() -> None:
    def boxes(frame: Frame) -> Detections:
        return make_detections(np.tile([0.0, 0, 100, 200], (4000, 1)), 0.5)

    detector = PerturbedDetector(FakeDetector(boxes), seed=3)
    first, again = (detector.detect([make_frame(5)])[0] for _ in range(2))
    assert np.array_equal(first.xyxy, again.xyxy)
    other_frame, other_camera = detector.detect([make_frame(6), make_frame(5, camera_id="b")])
    (other_seed,) = PerturbedDetector(FakeDetector(boxes), seed=4).detect([make_frame(5)])
    for other in (other_frame, other_camera, other_seed):
        assert not np.array_equal(first.xyxy, other.xyxy)
    # 1 % of 100 px across, of 200 px down; 4000 draws.
    assert first.xyxy.std(axis=0) == pytest.approx([1, 2, 1, 2], rel=0.05)
    assert first.confidence.std() == pytest.approx(0.01, rel=0.05)


def test_confidence_stays_a_share() -> None:
    def boxes(frame: Frame) -> Detections:
        return make_detections(np.tile([0.0, 0, 10, 20], (500, 1)), [0.0, 1.0] * 250)

    (found,) = PerturbedDetector(FakeDetector(boxes), seed=0).detect([make_frame()])
    assert found.confidence.min() == 0
    assert found.confidence.max() == 1
