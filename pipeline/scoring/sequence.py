"""All cameras as one sequence, whose time steps are the pairs (camera, frame)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import iou_matrix
from pipeline.core.datatypes import IntArray
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes


@dataclass(frozen=True, eq=False)
class TimeStep:
    """One frame of one camera.

    truth_rows (G,) and predicted_rows (P,) are rows of the arrays of all cameras; iou is (G, P).
    """

    camera: int
    truth_rows: IntArray
    predicted_rows: IntArray
    iou: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class CameraSequence:
    """Time steps in order: camera by camera, frame by frame. Frames without any box have no step."""

    steps: Sequence[TimeStep]

    @classmethod
    def of(cls, truth: Sequence[TrackBoxes], predicted: Sequence[TrackBoxes]) -> CameraSequence:
        """Build the sequence from the boxes of each camera; row numbers continue from one camera to the next."""
        steps = []
        first_truth = first_predicted = 0
        for camera, (real, found) in enumerate(zip(truth, predicted, strict=True)):
            real_rows, found_rows = _rows_by_frame(real), _rows_by_frame(found)
            nobody = np.zeros(0, np.int64)
            for frame in sorted(real_rows.keys() | found_rows.keys()):
                a, b = real_rows.get(frame, nobody), found_rows.get(frame, nobody)
                iou = iou_matrix(real.xyxy[a], found.xyxy[b])
                steps.append(TimeStep(camera, a + first_truth, b + first_predicted, iou))
            first_truth += len(real)
            first_predicted += len(found)
        return cls(steps)

    def of_camera(self, camera: int) -> CameraSequence:
        """Return the time steps of one camera."""
        return CameraSequence([step for step in self.steps if step.camera == camera])


def _rows_by_frame(boxes: TrackBoxes) -> dict[int, IntArray]:
    order = np.argsort(boxes.frame_index, kind="stable")
    frames, starts = np.unique(boxes.frame_index[order], return_index=True)
    return dict(zip(frames.tolist(), np.split(order, starts[1:]), strict=True)) if len(frames) else {}


def joined(
    predicted: Mapping[str, TrajectoryBoxes], ground_truth: Mapping[str, TrackBoxes]
) -> tuple[list[str], CameraSequence, IntArray, list[TrajectoryBoxes]]:
    """Return the cameras of the ground truth in order, all of them as one sequence, the (G,) ids of its ground truth,
    and the predicted boxes of each camera, which may be none."""
    cameras = sorted(ground_truth)
    truth = [ground_truth[camera] for camera in cameras]
    nothing = TrajectoryBoxes(TrackBoxes.empty(), np.zeros(0, np.int64))
    tracks = [predicted.get(camera, nothing) for camera in cameras]
    sequence = CameraSequence.of(truth, [track.boxes for track in tracks])
    return cameras, sequence, np.concatenate([boxes.ids for boxes in truth]), tracks


def dense_ids(ids: IntArray, rows: Sequence[IntArray]) -> tuple[list[IntArray], int]:
    """Return the ids at the rows of each time step, renumbered 0, 1 ... without gaps, and their number."""
    if not rows:
        return [], 0
    distinct, dense = np.unique(ids[np.concatenate(rows)], return_inverse=True)
    ends = np.cumsum([len(step) for step in rows])[:-1]
    return np.split(dense, ends), len(distinct)
