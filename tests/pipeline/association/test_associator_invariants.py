"""What holds of tracks, ids and rows whatever is put in."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.association.associator import DetectedFrame
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.core.boxes import clip_xyxy
from pipeline.core.datatypes import Detections
from tests.helpers.associating import assert_once, associator, of_world, run
from tests.helpers.factories import (
    make_detections,
    make_frame,
    make_second_pass,
    second_pass_settings,
)


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
    final = make_second_pass(world.camera_ids, second_pass_settings(max_tracklets_at_once=20)).link(ended)
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
    final = [make_second_pass(["cam1", "cam2"]).link(ended) for _, ended in (first, second)]
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
        final = make_second_pass(names, matching).link(ended)
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
