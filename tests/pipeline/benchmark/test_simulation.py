"""The simulated world."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from tests.helpers.factories import (
    make_frame,
)


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
