from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.association import Associator, DetectedFrame, embed_all
from pipeline.boxes import clip_xyxy
from pipeline.camera_geometry import CameraGeometry
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.second_pass import SecondPass
from pipeline.datatypes import Detections, Frame, Link, Tracklet
from pipeline.results_csv import LinkedRow
from pipeline.simulation import SimulatedWorld
from pipeline.single_camera.tracker import SingleCameraTracker
from pipeline.stage_clock import StageClock
from reid.base import Embedder, FakeEmbedder
from tests.factories import (
    linker_settings,
    make_detections,
    make_frame,
    one_hot,
    second_pass_settings,
    tracker_settings,
)

BOX = (300, 200, 340, 300)


def associator(
    *camera_ids: str,
    embedder: Embedder | None = None,
    geometries: Mapping[str, CameraGeometry] | None = None,
    trackers: Mapping[str, SingleCameraTracker] | None = None,
    hold_s: float = 0.8,
    max_centred_cosine_distance: float | None = None,
) -> Associator:
    tracker = tracker_settings()
    return Associator(
        geometries=geometries or {name: CameraGeometry(None, None) for name in camera_ids},
        trackers=trackers or {name: SingleCameraTracker(tracker) for name in camera_ids},
        linker=OnlineLinker(camera_ids, linker_settings(max_centred_cosine_distance=max_centred_cosine_distance)),
        embedder=embedder,
        class_names={0: "person", 1: "dog"},
        hold_s=hold_s,
        max_silence_s=tracker.max_lost_s,
        max_detections=300,
        clock=StageClock(),
    )


def pictured(frame_index: int, camera_id: str = "cam1") -> Frame:
    """A frame with a black picture."""
    frame = make_frame(frame_index, camera_id=camera_id)
    width, height = frame.size_wh
    return replace(frame, image=np.zeros((height, width, 3), np.uint8))


def run(parts: Associator, ticks: Iterator[list[DetectedFrame]]) -> tuple[list[LinkedRow], list[Tracklet]]:
    rows: list[LinkedRow] = []
    ended: list[Tracklet] = []
    for tick in ticks:
        done = parts.process(tick)
        rows += done.rows
        ended += done.ended
    done = parts.finish()
    return rows + done.rows, ended + done.ended


def of_world(
    world: SimulatedWorld, frames: int, change: Callable[[Detections], Detections] = lambda found: found
) -> Iterator[list[DetectedFrame]]:
    detector = world.detector()
    for tick in zip(*world.sources(frames), strict=True):
        yield [(frame, change(found)) for frame, found in zip(tick, detector.detect(tick), strict=True)]


def assert_once(rows: list[LinkedRow], ids: Mapping[tuple[str, int], Link] | None = None) -> None:
    """No track and no global id twice in a frame of a camera."""
    tracks = Counter((x.row.camera_id, x.row.frame_index, x.row.track_id) for x in rows)
    people = Counter(
        (x.row.camera_id, x.row.frame_index, (ids[x.row.camera_id, x.row.track_id] if ids else x.link).global_id)
        for x in rows
    )
    assert max(tracks.values(), default=1) == 1
    assert max(people.values(), default=1) == 1


# -- rows ------------------------------------------------------------------------------------------------------


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


def test_a_camera_that_falls_silent_lets_its_tracks_end_and_its_rows_go() -> None:
    parts = associator("cam1", "cam2")
    ended = []
    for index in range(60):
        tick = [(make_frame(index, camera_id="cam2"), Detections.empty())]
        if index < 20:
            tick.insert(0, (make_frame(index), make_detections([BOX])))
        ended += [(index, tracklet.key) for tracklet in parts.process(tick).ended]
        # Until then the person counts as in view.
        assert parts.people["cam1"] == (1 if 1 <= index < 40 else 0)
    # Its last frame is at 1.9 s; more than 2.0 s later is the frame at 4.0 s.
    assert ended == [(40, ("cam1", 1))]
    assert parts.finish().rows == []


def test_a_slow_camera_is_not_a_silent_one() -> None:
    parts = associator("cam1", "cam2")
    ended = []
    for index in range(200):
        tick = [(make_frame(index, camera_id="cam2"), Detections.empty())]
        if index % 15 == 0:
            tick.insert(0, (make_frame(index // 15, index / 10), make_detections([BOX])))
        ended += parts.process(tick).ended
    # A frame every 1.5 s, with the person in each.
    assert ended == []
    assert len(parts.finish().ended) == 1


@pytest.mark.parametrize("period_s", [1.0, 2.0, 10.0])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside a faster camera"])
def test_tracks_go_on_at_low_frame_rates(period_s: float, alone: bool) -> None:
    slow = [(make_frame(index, index * period_s), make_detections([BOX])) for index in range(8)]
    fast = [
        (make_frame(index, index * 0.5, camera_id="cam2"), Detections.empty())
        for index in range(0 if alone else round(14 * period_s))
    ]
    rows, ended = run(
        associator("cam1", "cam2"), iter([[item] for item in sorted(slow + fast, key=lambda item: item[0].time_s)])
    )
    assert [x.row.frame_index for x in rows] == list(range(8))
    assert [tracklet.observations for tracklet in ended] == [8]


@pytest.mark.parametrize("earlier_frames", [1, 2, 20])
def test_a_camera_that_stops_twice_holds_nobody_up(earlier_frames: int) -> None:
    """One long gap is not its pace: the frame after it starts tracks that nothing will ever confirm."""
    parts = associator("cam1", "cam2")
    for index in range(earlier_frames):
        parts.process([(make_frame(index), Detections.empty())])
    parts.process([(make_frame(earlier_frames, 300.0), make_detections([BOX]))])
    waiting = []
    for index in range(3001, 3600):
        done = parts.process([(make_frame(index, camera_id="cam2"), make_detections([BOX]))])
        waiting.append((waiting[-1] if waiting else 0) + 1 - len(done.rows))
    # Two seconds of rows, or 40 s (20 times max_silence_s) where its pace cannot be known.
    assert max(waiting) <= (25 if earlier_frames > 1 else 405)
    assert waiting[-1] < 10


@pytest.mark.parametrize("gaps", [1, 9])
def test_no_camera_holds_rows_for_minutes_however_often_it_stops(gaps: int) -> None:
    parts = associator("cam1", "cam2")
    for index in range(gaps + 1):
        parts.process([(make_frame(index, 300.0 * index), make_detections([BOX]))])
    released = 0
    for index in range(450):
        tick = [(make_frame(index, 300.0 * gaps + 0.1 + index / 10, camera_id="cam2"), make_detections([BOX]))]
        released += sum(x.row.camera_id == "cam2" for x in parts.process(tick).rows)
    assert released > 430


def test_nobody_is_followed_through_a_gap_of_minutes_alone_in_a_run() -> None:
    """Whoever sits there now may be somebody else."""
    parts = associator("cam1")
    times_s = [*(index / 10 for index in range(10)), *(300 + index / 10 for index in range(10))]
    rows, ended = run(parts, ([(make_frame(i, t), make_detections([BOX]))] for i, t in enumerate(times_s)))
    assert len(rows) == 20
    assert [(tracklet.track_id, tracklet.observations) for tracklet in ended] == [(1, 10), (2, 10)]


def test_nothing_is_processed() -> None:
    parts = associator("cam1")
    assert parts.process([]).rows == []
    assert parts.finish().rows == []


# -- embeddings ------------------------------------------------------------------------------------------------


def test_saved_embeddings_do_what_computing_them_does() -> None:
    world = SimulatedWorld(cameras=2, people=6)
    computed = run(associator(*world.camera_ids, embedder=world.embedder()), of_world(world, 150))
    saved = [embed_all(world.embedder(), tick) for tick in of_world(world, 150)]
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


# -- bad input --------------------------------------------------------------------------------------------------


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
    tracker = SingleCameraTracker(tracker_settings())
    parts = associator("cam1", trackers={"cam1": tracker})
    began_s = time.perf_counter()
    for index in range(30):
        corner = rng.uniform(0, 400, (10_000, 2))
        noise = np.hstack([corner, corner + rng.uniform(5, 60, (10_000, 2))]).astype(np.float32)
        confidence = rng.uniform(0.3, 0.95, 10_000).astype(np.float32)
        parts.process([(make_frame(index), Detections(noise, confidence, np.zeros(10_000, np.int64)))])
        # Those of 300 boxes a frame that found another one by chance, for two seconds each.
        assert tracker.live_tracks < 4 * 300
    assert time.perf_counter() - began_s < 20
    assert parts.boxes == {"cam1": 30 * 300}


@settings(max_examples=25, deadline=None)
@given(
    boxes=st.lists(
        st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 4, st.floats(0, 1, width=32)), max_size=12),
        min_size=1,
        max_size=8,
    )
)
def test_any_boxes_at_all(boxes: list[list[tuple[float, ...]]]) -> None:
    parts = associator("cam1")
    ticks = (
        [
            (
                make_frame(index),
                Detections(
                    np.array([box[:4] for box in frame], np.float32).reshape(-1, 4),
                    np.array([box[4] for box in frame], np.float32),
                    np.zeros(len(frame), np.int64),
                ),
            )
        ]
        for index, frame in enumerate(boxes)
    )
    rows, _ = run(parts, ticks)
    assert_once(rows)
    width, height = make_frame(0).size_wh
    for x1, y1, x2, y2 in (x.row.xyxy for x in rows):
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


# -- any world -------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    people=st.integers(5, 40),
    noise=st.sampled_from([0.1, 0.6, 2.0]),
    frame_rate=st.sampled_from([2.0, 10.0]),
    missed=st.sampled_from([0.0, 0.15, 0.4]),
    seed=st.integers(0, 1000),
)
def test_nobody_is_twice_in_a_frame_neither_online_nor_in_the_end(
    people: int, noise: float, frame_rate: float, missed: float, seed: int
) -> None:
    world = SimulatedWorld(
        cameras=2, people=people, frame_rate=frame_rate, embedding_noise=noise, seed=seed, view_s=6
    )
    random = np.random.default_rng(seed)

    def worse(found: Detections) -> Detections:
        moved = found.xyxy + random.normal(0, 2, found.xyxy.shape).astype(np.float32)
        confidence = np.clip(found.confidence - random.exponential(0.1, len(found)), 0, 1).astype(np.float32)
        return Detections(moved, confidence, found.class_id)[random.random(len(found)) >= missed]

    rows, ended = run(
        associator(*world.camera_ids, embedder=world.embedder()), of_world(world, round(15 * frame_rate), worse)
    )
    assert_once(rows)
    final = SecondPass(world.camera_ids, second_pass_settings(max_tracklets_at_once=20), linker_settings()).link(
        ended
    )
    assert_once(rows, final)
    assert [(x.row.time_s, x.row.camera_id) for x in rows] == sorted((x.row.time_s, x.row.camera_id) for x in rows)
    # Every box of a track that ended is a row, and the other way round (none lies wholly outside the picture).
    assert Counter((x.row.camera_id, x.row.track_id) for x in rows) == {t.key: t.observations for t in ended}
    assert all(0 <= x.link.confidence <= 1 for x in rows)


def jumble(seed: int, people: int, frames: int) -> list[list[DetectedFrame]]:
    """Ticks of two cameras with people who walk, boxes that are nobody, gaps, and people who look alike."""
    random = np.random.default_rng(seed)
    place = random.uniform(-50, 950, (2, people, 1))
    speed = random.normal(0, 8, (2, people, 1))
    ticks = []
    for index in range(frames):
        tick = []
        for camera in np.flatnonzero(random.random(2) > 0.1).tolist():
            left = place[camera] + speed[camera] * index
            walking = np.hstack([left, np.full_like(left, 300), left + 60, np.full_like(left, 450)])
            noise = random.uniform(-100, 1100, (random.integers(0, 5), 4))
            boxes = np.concatenate([walking[random.random(people) > 0.2], noise])
            found = make_detections(
                boxes + random.normal(0, 3, boxes.shape),
                random.uniform(0, 1, len(boxes)).tolist(),
                embeddings=random.normal(1, 0.3, (len(boxes), 8)),
            )
            tick.append((make_frame(index, camera_id=f"cam{camera + 1}"), found))
        ticks.append(tick)
    return ticks


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), people=st.integers(0, 8), frames=st.integers(1, 60))
def test_every_row_is_a_box_that_was_found_and_no_box_makes_two(seed: int, people: int, frames: int) -> None:
    ticks = jumble(seed, people, frames)
    found: Counter[tuple[object, ...]] = Counter()
    for frame, detections in (item for tick in ticks for item in tick):
        for box in clip_xyxy(detections.xyxy, frame.size_wh).tolist():
            found[frame.camera_id, frame.frame_index, tuple(box)] += 1
    rows, _ = run(associator("cam1", "cam2"), iter(ticks))
    assert Counter((x.row.camera_id, x.row.frame_index, x.row.xyxy) for x in rows) <= found
    assert not any(x.row.interpolated for x in rows)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), people=st.integers(0, 8))
def test_the_same_input_gives_the_same_rows_and_links(seed: int, people: int) -> None:
    first, second = (run(associator("cam1", "cam2"), iter(jumble(seed, people, 60))) for _ in range(2))
    assert first[0] == second[0]
    assert [tracklet.key for tracklet in first[1]] == [tracklet.key for tracklet in second[1]]
    final = [
        SecondPass(["cam1", "cam2"], second_pass_settings(), linker_settings()).link(ended)
        for _, ended in (first, second)
    ]
    assert final[0] == final[1]


@settings(max_examples=10, deadline=None)
@given(
    people=st.integers(3, 30),
    noise=st.sampled_from([0.1, 0.6, 2.0]),
    centred=st.sampled_from([None, 0.42]),
    seed=st.integers(0, 1000),
)
def test_the_order_of_cameras_and_boxes_changes_nothing(
    people: int, noise: float, centred: float | None, seed: int
) -> None:
    world = SimulatedWorld(cameras=3, people=people, embedding_noise=noise, seed=seed, view_s=4, blind_s=1)
    random = np.random.default_rng(seed)

    def result(names: list[str], shuffled: bool) -> tuple[list[object], list[object]]:
        ticks = of_world(world, 120, lambda x: x[random.permutation(len(x))] if shuffled else x)
        order = [names.index(name) for name in world.camera_ids]
        parts = associator(*names, embedder=world.embedder(), max_centred_cosine_distance=centred)
        rows, ended = run(parts, ([tick[i] for i in np.argsort(order)] for tick in ticks))
        matching = second_pass_settings(max_centred_cosine_distance=centred)
        final = SecondPass(names, matching, linker_settings()).link(ended)
        boxes = sorted((x.row.camera_id, x.row.frame_index, x.row.xyxy, x.link.global_id) for x in rows)
        ids = [i for *_, i in boxes]
        online = [(*box, ids.index(i)) for *box, i in boxes]
        keys = sorted(final)
        ids = [final[key].global_id for key in keys]
        return online, [(key, ids.index(final[key].global_id)) for key in keys]

    rows, final = result(world.camera_ids, False)
    others, other_final = result([str(name) for name in random.permutation(world.camera_ids)], True)
    assert rows == others
    assert final == other_final


# -- the simulated world itself --------------------------------------------------------------------------------


def test_people_of_the_world_walk_through_all_cameras_in_turn() -> None:
    world = SimulatedWorld(cameras=2, people=4, view_s=8.0, blind_s=2.0)
    # One enters every 5 s; person 1 is in cam1 from 0 to 8 s, in cam2 from 10 to 18 s.
    assert [person for person, _ in world.people_in("cam1", 0.0)] == [1]
    assert [person for person, _ in world.people_in("cam1", 5.5)] == [1, 2]
    assert world.people_in("cam2", 9.9) == []
    assert [person for person, _ in world.people_in("cam2", 10.0)] == [1]
    (_, start), (_, later) = world.people_in("cam1", 0.0)[0], world.people_in("cam1", 4.0)[0]
    assert start[0] == 0
    assert later[0] == pytest.approx(0.5 * (640 - 40))
    assert (later[1], later[3] - later[1]) == (start[1], 100)


def test_people_look_like_themselves_in_every_camera() -> None:
    world = SimulatedWorld(cameras=2, people=4, embedding_noise=0.3)
    embedder = world.embedder()
    frames = [make_frame(index, camera_id=name) for index, name in ((10, "cam1"), (20, "cam1"), (125, "cam2"))]
    boxes = [np.stack([box for _, box in world.people_in(frame.camera_id, frame.time_s)]) for frame in frames]
    people = [[person for person, _ in world.people_in(frame.camera_id, frame.time_s)] for frame in frames]
    vectors = [crops.embeddings for crops in embedder.embed(frames, boxes)]
    assert people[0][0] == people[1][0] == people[2][0] == 1
    similarity = [float(vectors[a][0] @ vectors[b][0]) for a, b in ((0, 1), (0, 2))]
    # Noise of length 0.3 beside a vector of length 1: about 1 / (1 + 0.09).
    assert similarity == pytest.approx([0.917, 0.917], abs=0.05)
    assert world.embedder().embed(frames[:1], boxes[:1])[0].embeddings.tolist() == vectors[0].tolist()
    assert float(world.appearance(1) @ world.appearance(2)) < 0.5
