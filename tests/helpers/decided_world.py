"""Runs with decisions that can be counted by hand: every track is exactly on its person, one box a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.benchmark.contestants import Tracked
from pipeline.core.datatypes import Link
from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage, TrackKey
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes

#: Track -> person, first frame, and the id of each of its boxes.
Seen = Mapping[TrackKey, tuple[int, int, Sequence[int]]]


def world(
    seen: Seen, decisions: Sequence[Decision], links: Mapping[TrackKey, Link] | None = None
) -> tuple[Tracked, dict[str, TrackBoxes]]:
    """A run whose tracks are exactly on their person; people stand beside each other."""
    truth, found = {}, {}
    for camera in sorted({camera for camera, _ in seen}):
        rows = [
            (first + place, person, number, global_id)
            for (name, number), (person, first, ids) in seen.items()
            for place, global_id in enumerate(ids)
            if name == camera
        ]
        frames, persons, tracks, ids = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        xyxy = np.stack([persons * 100.0, 0.0 * persons, persons * 100.0 + 40, 100.0 + 0 * persons], axis=1)
        ones = np.ones(len(rows))
        truth[camera] = TrackBoxes(frames, persons, xyxy, ones)
        found[camera] = TrajectoryBoxes(TrackBoxes(frames, ids, xyxy, ones), tracks)
    return Tracked(found, 0.0, decisions, links or {}), truth


def decision(
    key: TrackKey,
    outcome: Outcome,
    global_id: int | None,
    *candidates: Candidate,
    time_s: float = 0.0,
    reason: Reason = Reason.NONE_WITHIN_LIMIT,
    stage: Stage = Stage.ONLINE,
    good_crops: int = 2,
    joined: Sequence[TrackKey] = (),
) -> Decision:
    return Decision(
        stage,
        time_s,
        key[0],
        key[1],
        outcome,
        reason,
        global_id,
        good_crops,
        0.35,
        0.0,
        candidates,
        tuple(joined),
    )


def candidate(global_id: int, cost: float, impossible: Obstacle | None = None) -> Candidate:
    return Candidate(global_id, cost / 3, None, cost, impossible)
