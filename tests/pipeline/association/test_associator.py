"""From detections to rows: what is embedded, which rows come out, and when."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from pipeline.association.associator import embed_all
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.fake_models import FakeEmbedder
from pipeline.floor.camera_geometry import CameraGeometry
from tests.helpers.associating import BOX, associator, of_world, run
from tests.helpers.factories import (
    make_detections,
    make_frame,
    one_hot,
)


def pictured(frame_index: int, camera_id: str = "cam1") -> Frame:
    """A frame with a black picture."""
    frame = make_frame(frame_index, camera_id=camera_id)
    width, height = frame.size_wh
    return replace(frame, image=np.zeros((height, width, 3), np.uint8))


def test_rows_come_once_in_order_and_with_the_boxes_from_before_confirmation() -> None:
    ticks = [[(make_frame(index), make_detections([BOX]))] for index in range(30)]
    parts = associator("cam1")
    released = [[x.row.frame_index for x in parts.process(tick).rows] for tick in ticks]
    rest = [x.row.frame_index for x in parts.finish().rows]
    assert [index for rows in released for index in rows] + rest == list(range(30))
    # They wait 0.8 s for their ids, and leave with the first frame after that.
    ages = [index - row for index, rows in enumerate(released) for row in rows]
    assert set(ages) <= {8, 9}
    assert len(rest) in (8, 9)


def test_rows_wait_for_a_track_of_another_camera_that_may_still_be_confirmed() -> None:
    parts = associator("cam1", "cam2", hold_s=0.0)
    order = []
    for index in range(20):
        # In cam2 somebody appears at 0.5 s, and is confirmed at 0.8 s.
        second = make_detections([BOX] if index >= 5 else [])
        tick = [(make_frame(index), make_detections([BOX])), (make_frame(index, camera_id="cam2"), second)]
        order += [(x.row.time_s, x.row.camera_id) for x in parts.process(tick).rows]
    order += [(x.row.time_s, x.row.camera_id) for x in parts.finish().rows]
    assert order == sorted(order)
    assert len(order) == 20 + 15


def test_regions_classes_and_the_size_of_the_picture() -> None:
    region = {"cam1": CameraGeometry(None, [[0, 0], [500, 0], [500, 500], [0, 500]])}
    found = make_detections([(300, 450, 340, 550), (700, 200, 740, 300), (100, 50, 140, 150)], class_id=[0, 0, 1])
    # The first has its feet at 550, below the picture of 500 px and the region; the second is outside too.
    rows, _ = run(associator("cam1", geometries=region), iter([[(make_frame(n), found)] for n in range(5)]))
    assert {(x.row.class_name, x.row.xyxy) for x in rows} == {("dog", (100, 50, 140, 150))}
    rows, _ = run(associator("cam1"), iter([[(make_frame(n), found)] for n in range(5)]))
    assert (300, 450, 340, 500) in {x.row.xyxy for x in rows}
    assert len(rows) == 15


def test_nothing_is_processed() -> None:
    parts = associator("cam1")
    assert parts.process([]).rows == []
    assert parts.finish().rows == []


def test_saved_embeddings_do_what_computing_them_does() -> None:
    world = SimulatedWorld(cameras=2, people=6)
    computed = run(associator(*world.camera_ids, embedder=world.embedder()), of_world(world, 150))
    saved = [embed_all(world.embedder(), tick, {0: "person"}) for tick in of_world(world, 150)]
    replayed = run(associator(*world.camera_ids), iter(saved))
    assert computed[0] == replayed[0]
    assert [t.key for t in computed[1]] == [t.key for t in replayed[1]]
    assert {x.link.global_id for x in computed[0]} != {0}


def test_one_call_embeds_the_crops_of_all_cameras() -> None:
    calls: list[list[int]] = []

    class Counting(FakeEmbedder):
        def embed(self, frames, xyxy):  # type: ignore[no-untyped-def]
            calls.append([len(boxes) for boxes in xyxy])
            return super().embed(frames, xyxy)

    embedder = Counting(lambda frame, boxes: np.repeat(one_hot(0), len(boxes), axis=0), 8)
    parts = associator("cam1", "cam2", embedder=embedder)
    for index in range(10):
        parts.process([(pictured(index, name), make_detections([BOX])) for name in ("cam1", "cam2")])
    # Due at the third frame and 0.3 s later.
    assert calls == [[1, 1], [1, 1]]
    assert parts.embedded_crops == 4
    assert parts.boxes == {"cam1": 10, "cam2": 10}


def test_without_an_embedder_people_are_only_tracked() -> None:
    parts = associator("cam1")
    rows, ended = run(parts, iter([[(pictured(n), make_detections([BOX]))] for n in range(10)]))
    assert len(rows) == 10
    assert parts.embedded_crops == 0
    assert len(ended[0].embeddings) == 0


def test_rejected_crops_leave_the_track_without_a_description() -> None:
    embedder = FakeEmbedder(lambda frame, boxes: np.zeros((len(boxes), 8), np.float32), 8)
    parts = associator("cam1", embedder=embedder)
    _, ended = run(parts, iter([[(pictured(n), make_detections([BOX]))] for n in range(10)]))
    assert len(ended[0].embeddings) == 0
    assert embedder.rejected_crops == parts.embedded_crops > 0


def test_frames_that_go_back_in_time_are_left_out_and_counted() -> None:
    parts = associator("cam1")
    times_s = [0.0, 0.1, 0.2, 0.1, 0.2, float("nan"), float("inf"), 0.3]
    ticks = ([(replace(make_frame(i), time_s=t), make_detections([BOX]))] for i, t in enumerate(times_s))
    rows, _ = run(parts, ticks)
    assert [x.row.frame_index for x in rows] == [0, 1, 2, 7]
    assert parts.late_frames == {"cam1": 4}


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((340, 200, 300, 300), id="right before left"),
        pytest.param((300, 300, 340, 200), id="bottom above top"),
        pytest.param((300, 200, 300, 300), id="no width"),
        pytest.param((-90, 200, -10, 300), id="left of the picture"),
        pytest.param((300, 5000, 340, 5100), id="below the picture"),
        pytest.param((-3e38, 200, -1e38, 300), id="far away"),
        pytest.param((-3e38, -3e38, 3e38, 3e38), id="all that a number can hold"),
        pytest.param((300, 200, 3e38, 300), id="without a right side"),
    ],
)
@pytest.mark.parametrize("region", [None, [[0, 0], [999, 0], [999, 499], [0, 499]]], ids=["all", "region"])
@pytest.mark.filterwarnings("error")
def test_a_box_without_an_area_in_the_picture_is_none(
    box: tuple[float, ...], region: list[list[int]] | None
) -> None:
    parts = associator("cam1", geometries={"cam1": CameraGeometry(None, region)})
    rows, _ = run(parts, ([(make_frame(i), make_detections([BOX, box]))] for i in range(8)))
    assert [x.row.xyxy for x in rows] == [BOX] * 8
    assert parts.boxes == {"cam1": 8}


def test_of_ten_thousand_boxes_the_most_confident_are_used() -> None:
    """All pairs of them would take gigabytes."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 400, (10_000, 2))
    noise = make_detections(np.hstack([corner, corner + rng.uniform(5, 60, (10_000, 2))]).tolist(), confidence=0.6)
    noise.confidence[:40] = 0.9
    parts = associator("cam1")
    began_s = time.perf_counter()
    for index in range(5):
        parts.process([(make_frame(index), noise)])
    assert time.perf_counter() - began_s < 10
    assert parts.boxes == {"cam1": 5 * 300}
    rows = parts.finish().rows
    # Some boxes of noise overlap so much that two are one track.
    assert 5 * 250 < len(rows) <= 5 * 300
    assert sum(x.row.confidence > 0.8 for x in rows) == pytest.approx(5 * 40, abs=5)


def test_tracks_and_time_are_bounded_by_boxes_that_are_anywhere_in_each_frame() -> None:
    rng = np.random.default_rng(0)
    parts = associator("cam1")
    began_s = time.perf_counter()
    for index in range(30):
        corner = rng.uniform(0, 400, (10_000, 2))
        noise = np.hstack([corner, corner + rng.uniform(5, 60, (10_000, 2))]).astype(np.float32)
        confidence = rng.uniform(0.3, 0.95, 10_000).astype(np.float32)
        parts.process([(make_frame(index), Detections(noise, confidence, np.zeros(10_000, np.int64)))])
        # Those of 300 boxes a frame that found another one by chance, for two seconds each.
        assert parts.live_tracks("cam1") < 4 * 300
    assert time.perf_counter() - began_s < 20
    assert parts.boxes == {"cam1": 30 * 300}
