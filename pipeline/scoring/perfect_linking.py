"""Whom each track follows: the ids that the best linker could give to whole tracks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.datatypes import BoolArray, IntArray
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes
from pipeline.scoring.sequence import CameraSequence, joined


@dataclass(frozen=True, eq=False)
class FollowedBoxes:
    """Whom the boxes of one camera follow.

    Attributes:
        person: (N,) int64, the person that the box's track has with perfect linking; -1 for nobody.
        on_person: (N,) bool, whether the box overlaps with this person.
    """

    person: IntArray
    on_person: BoolArray


def followed(
    predicted: Mapping[str, TrajectoryBoxes],
    ground_truth: Mapping[str, TrackBoxes],
    *,
    iou_threshold: float = 0.5,
) -> dict[str, FollowedBoxes]:
    """Return, for the cameras of the ground truth, whom each predicted box follows; see `Scores.perfect_linking`."""
    cameras, sequence, truth_ids, tracks = joined(predicted, ground_truth)
    person = perfect_ids(sequence, truth_ids, ids_of_tracks(tracks), iou_threshold)
    person[person > truth_ids.max(initial=0)] = -1
    on_person = np.zeros(len(person), np.bool_)
    for step in sequence.steps:
        same = truth_ids[step.truth_rows][:, None] == person[step.predicted_rows][None, :]
        on_person[step.predicted_rows] = (same & (step.iou >= iou_threshold)).any(axis=0)
    ends = np.cumsum([len(track.boxes) for track in tracks])[:-1]
    parts = zip(cameras, np.split(person, ends), np.split(on_person, ends), strict=True)
    return {camera: FollowedBoxes(persons, on) for camera, persons, on in parts}


def ids_of_tracks(tracks: Sequence[TrajectoryBoxes]) -> IntArray:
    """Return an id for each pair (camera, track), at the rows of all cameras."""
    parts, first = [], 0
    for track in tracks:
        distinct, dense = np.unique(track.track_id, return_inverse=True)
        parts.append(dense + first)
        first += len(distinct)
    return np.concatenate(parts)


def perfect_ids(
    sequence: CameraSequence, truth_ids: IntArray, track_ids: IntArray, iou_threshold: float
) -> IntArray:
    """Return the ids that the best linker could give to whole tracks, at the rows of all cameras.

    A track gets the id of the person that it matches in most frames. Ties go to the larger sum of IoU, then to the
    smaller id. One person cannot have two tracks of a camera in one frame: the track with fewer matching frames then
    keeps its own id, as does a track that matches nobody.
    """
    frames_on: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    iou_on: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    steps_of: dict[int, set[int]] = defaultdict(set)
    for number, step in enumerate(sequence.steps):
        for track in track_ids[step.predicted_rows]:
            steps_of[int(track)].add(number)
        for g, p in zip(*np.nonzero(step.iou >= iou_threshold), strict=True):
            track, person = int(track_ids[step.predicted_rows[p]]), int(truth_ids[step.truth_rows[g]])
            frames_on[track][person] += 1
            iou_on[track][person] += float(step.iou[g, p])
    choices = []
    for track, frames in frames_on.items():
        person = max(frames, key=lambda p: (frames[p], iou_on[track][p], -p))
        choices.append((-frames[person], -iou_on[track][person], track, person))
    own_id_offset = int(truth_ids.max(initial=0)) + 1
    best = np.arange(int(track_ids.max(initial=-1)) + 1) + own_id_offset
    taken: dict[int, set[int]] = defaultdict(set)
    for _, _, track, person in sorted(choices):
        if taken[person].isdisjoint(steps_of[track]):
            taken[person] |= steps_of[track]
            best[track] = person
    return best[track_ids]
