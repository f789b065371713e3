"""Chooses the frames that are scored: those that a run used and that somebody annotated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping

import numpy as np

from pipeline.core.errors import InputError
from pipeline.files.frame_grid import FrameGrid
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes


def in_used_frames(
    truth: Mapping[str, TrackBoxes],
    predicted: Mapping[str, TrajectoryBoxes],
    noted: Mapping[str, int],
    stride: object,
    *,
    tell: Callable[[str], None],
) -> dict[str, TrackBoxes]:
    """Return the ground truth of the frames that the run used.

    Args:
        noted: camera -> difference between the indices of the frames that the run used.
        stride: the setting `recording.stride` of the run, for cameras that are not noted.
        tell: called with a sentence if ground truth is left out.

    Raises:
        InputError: the run used none of the frames of a camera that have ground truth.
    """
    kept = dict(truth)
    cameras: dict[int, list[str]] = defaultdict(list)
    for camera, boxes in truth.items():
        used = predicted[camera].boxes.frame_index if camera in predicted else np.zeros(0, np.int64)
        steps = [step for step in (noted.get(camera), stride) if isinstance(step, int) and step > 1]
        grids = [FrameGrid(step, int(used[0]) % step if len(used) else 0) for step in steps]
        # Pictures that are numbered irregularly may lie on none.
        grid = next((grid for grid in grids if grid.holds(used).all()), None)
        if grid is None:
            continue
        kept[camera] = boxes[grid.holds(boxes.frame_index)]
        if len(boxes) and not len(kept[camera]):
            raise InputError(
                f"camera {camera!r}: the run used {grid} from frame {grid.first + 1} on, and none of these has ground "
                "truth: run it with another recording.stride"
            )
        if len(kept[camera]) < len(boxes):
            cameras[grid.stride].append(camera)
    for step, names in cameras.items():
        of = "" if len(names) == len(truth) else f" of {quoted_names(names)}"
        tell(f"the run used 1 frame in {step}{of}: the ground truth of the other frames is left out")
    return kept


def on_annotated_frames(
    predicted: Mapping[str, TrajectoryBoxes],
    ground_truth: Mapping[str, TrackBoxes],
    stride: int | None,
    *,
    tell: Callable[[str], None],
) -> dict[str, TrajectoryBoxes]:
    """Return the predicted boxes in the frames that somebody annotated.

    Many data sets annotate every n-th frame only. Right boxes in the other frames would count as errors.

    Args:
        stride: every n-th frame is annotated, from the first frame with ground truth on; None finds it in the ground
            truth of each camera, and 1 keeps all boxes.
        tell: called with a sentence for each camera whose boxes are left out.

    Raises:
        InputError: the stride is below 1.
    """
    if stride is not None and stride < 1:
        raise InputError(f"the stride of the ground truth is {stride}, but must be at least 1.")
    kept = dict(predicted)
    for camera, truth in ground_truth.items():
        if camera not in predicted or not len(truth):
            continue
        grid = FrameGrid.of(truth.frame_index)
        if stride is not None:
            grid = FrameGrid(stride, int(truth.frame_index.min()) % stride)
        found = predicted[camera]
        on_grid = grid.holds(found.boxes.frame_index)
        if not on_grid.all():
            kept[camera] = TrajectoryBoxes(found.boxes[on_grid], found.track_id[on_grid])
            tell(
                f"camera {camera!r}: {grid} has ground truth, and only these are scored: "
                f"{int((~on_grid).sum())} of {len(on_grid)} predicted boxes are left out"
            )
    return kept


def quoted_names(cameras: Collection[str]) -> str:
    """Return the names of cameras for a message."""
    return ", ".join(repr(camera) for camera in sorted(cameras)) or "no camera"
