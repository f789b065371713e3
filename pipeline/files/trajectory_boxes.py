"""Reads the boxes of a run, camera by camera, for evaluation: from trajectories.csv or from MOTChallenge text."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from pipeline.core.datatypes import IntArray, TrajectoryRow, check_array
from pipeline.core.errors import InputError
from pipeline.files.mot_files import read_results
from pipeline.files.results_csv import numbered_trajectories
from pipeline.files.track_boxes import TrackBoxes, check_unique

_log = logging.getLogger(__name__)


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


def read_predicted_boxes(
    paths: Sequence[Path],
    *,
    class_name: str | None = None,
    interpolated: bool = True,
    tell: Callable[[str], None] = _log.warning,
) -> dict[str, TrajectoryBoxes]:
    """Read the result of a run: a trajectories.csv, a folder with one, or MOTChallenge result text.

    Args:
        paths: one .csv; or files CAMERA.txt; or a folder that holds a trajectories.csv or files CAMERA.txt.
        class_name, interpolated, tell: as for `read_trajectory_boxes`; text has no classes and no such mark.

    Returns:
        As `read_trajectory_boxes`. In text a track is all that a camera calls by one id.

    Raises:
        InputError: as for `read_trajectory_boxes` and `read_results`; a folder has no results, a camera has two files,
            or there are several .csv or both kinds.
    """
    files = [file for path in paths for file in _result_files(path)]
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    if not texts and len(files) == 1:
        return read_trajectory_boxes(files[0], class_name=class_name, interpolated=interpolated, tell=tell)
    if len(texts) < len(files):
        raise InputError(
            f"give one trajectories.csv, or MOT text of each camera, but not {', '.join(map(str, files))} together"
        )
    found: dict[str, TrajectoryBoxes] = {}
    for file in texts:
        if file.stem in found:
            raise InputError(f"{file}: the camera {file.stem!r} has two files; the name of a file is its camera")
        boxes = read_results(file)
        found[file.stem] = TrajectoryBoxes(boxes, boxes.ids)
    return dict(sorted(found.items()))


def _result_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / "trajectories.csv").is_file():
        return [path / "trajectories.csv"]
    texts = sorted(path.glob("*.txt"))
    if not texts:
        raise InputError(
            f"{path} holds neither a trajectories.csv nor files CAMERA.txt. Name the folder of results."
        )
    return texts


def read_trajectory_boxes(
    path: Path,
    *,
    class_name: str | None = None,
    interpolated: bool = True,
    tell: Callable[[str], None] = _log.warning,
) -> dict[str, TrajectoryBoxes]:
    """Read the boxes of trajectories.csv, camera by camera.

    Args:
        class_name: keep only the boxes of this class; None keeps all.
        interpolated: False leaves out the boxes that no detector saw.
        tell: called with a sentence about the rows that are left out.

    Returns:
        Camera id -> its boxes, cameras in alphabetical order. A camera whose rows were all left out is included,
        with no boxes.

    Raises:
        InputError: as for `read_trajectories(strict=True)`, or a global id occurs twice in one frame of a camera. The
            message names the line. All rows are checked, including those that are then left out. Or there are rows, but
            none has the class.
    """
    rows: list[TrajectoryRow] = []
    ids: list[int] = []
    lines: list[int] = []
    for line, linked in numbered_trajectories(path, strict=True):
        lines.append(line)
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
            f"{path}, line {lines[second]}: camera {rows[second].camera_id!r}, frame_index "
            f"{boxes.frame_index[second]} has global_id {boxes.ids[second]} again, as in line {lines[first]}. One "
            "person cannot be in two boxes of one image: remove or renumber one row."
        )

    check_unique((camera_code, boxes.frame_index, boxes.ids), fail_twice)
    if class_name is not None:
        others = Counter(row.class_name for row in rows if row.class_name != class_name)
        listed = ", ".join(f"{name} ({count})" for name, count in others.most_common())
        if rows and others.total() == len(rows):
            raise InputError(f"{path}: no row has the class {class_name!r}. Choose one of its classes: {listed}.")
        if others:
            tell(f"{path}: {others.total()} of {len(rows)} rows are left out, those of the classes {listed}")
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
