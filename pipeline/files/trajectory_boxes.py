"""Reads the boxes of a trajectories.csv, camera by camera, for evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from pipeline.core.datatypes import IntArray, TrajectoryRow, check_array
from pipeline.core.errors import InputError
from pipeline.files.results_csv import read_trajectories
from pipeline.files.track_boxes import TrackBoxes, check_unique, line_number


@dataclass(frozen=True, eq=False)
class TrajectoryBoxes:
    """The boxes of one camera in trajectories.csv.

    Attributes:
        boxes: N boxes; their ids are the global ids.
        track_id: (N,) int64, the track inside the camera that each box belongs to.
    """

    boxes: TrackBoxes
    track_id: IntArray

    def __post_init__(self) -> None:
        check_array("TrajectoryBoxes", "track_id", self.track_id, (len(self.boxes),), np.int64)


def read_trajectory_boxes(
    path: Path, *, class_name: str | None = None, interpolated: bool = True
) -> dict[str, TrajectoryBoxes]:
    """Read the boxes of trajectories.csv, camera by camera.

    Args:
        class_name: keep only the boxes of this class; None keeps all.
        interpolated: False leaves out the boxes that no detector saw.

    Returns:
        Camera id -> its boxes, cameras in alphabetical order. A camera whose rows were all left out is included,
        with no boxes.

    Raises:
        InputError: as for `read_trajectories(strict=True)`, or a global id occurs twice in one frame of a camera. The
            message names the line. All rows are checked, including those that are then left out.
    """
    rows: list[TrajectoryRow] = []
    ids: list[int] = []
    for linked in read_trajectories(path, strict=True):
        rows.append(linked.row)
        ids.append(linked.link.global_id)
    cameras = sorted({row.camera_id for row in rows})
    number = {camera: position for position, camera in enumerate(cameras)}
    camera_code = np.array([number[row.camera_id] for row in rows], np.int64)
    boxes = TrackBoxes(
        frame_index=np.array([row.frame_index for row in rows], np.int64),
        ids=np.array(ids, np.int64),
        xyxy=np.array([row.xyxy for row in rows], np.float64).reshape(-1, 4),
        confidence=np.array([row.confidence for row in rows], np.float64),
    )

    def fail_twice(first: int, second: int) -> NoReturn:
        raise InputError(
            f"{path}, line {line_number(path, second + 1)}: camera {rows[second].camera_id!r}, frame_index "
            f"{boxes.frame_index[second]} has global_id {boxes.ids[second]} again, as in line "
            f"{line_number(path, first + 1)}. One person cannot be in two boxes of one image: remove or renumber one "
            "row."
        )

    check_unique((camera_code, boxes.frame_index, boxes.ids), fail_twice)
    keep = np.array(
        [
            (class_name is None or row.class_name == class_name) and (interpolated or not row.interpolated)
            for row in rows
        ],
        np.bool_,
    )
    track_id = np.array([row.track_id for row in rows], np.int64)
    found = {}
    for camera in cameras:
        own = np.flatnonzero(keep & (camera_code == number[camera]))
        found[camera] = TrajectoryBoxes(boxes[own], track_id[own])
    return found
