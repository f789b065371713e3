"""Boxes and files for tests of scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes

Row = tuple[int, int, float]
"""frame index, id, left; every box is 10 px wide and 10 px high."""


def boxes(rows: Sequence[Row]) -> TrackBoxes:
    left = np.array([row[2] for row in rows], float)
    return TrackBoxes(
        frame_index=np.array([row[0] for row in rows], np.int64),
        ids=np.array([row[1] for row in rows], np.int64),
        xyxy=np.stack([left, np.zeros(len(rows)), left + 10, np.full(len(rows), 10.0)], axis=1),
        confidence=np.ones(len(rows)),
    )


def walk(frames: range, box_id: int, left: float = 0) -> list[Row]:
    return [(frame, box_id, left) for frame in frames]


def tracked(rows: Sequence[Row], track_id: Sequence[int] | None = None) -> TrajectoryBoxes:
    """Predicted boxes; without `track_id` each global id is one track."""
    predicted = boxes(rows)
    return TrajectoryBoxes(predicted, predicted.ids if track_id is None else np.array(track_id, np.int64))


def write_csv(path: Path, rows: Sequence[str]) -> Path:
    header = "global_id,camera_id,track_id,frame_index,class_name,x1,y1,x2,y2,confidence,interpolated"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def numbered(path: Path, numbers: Iterable[int]) -> Path:
    """Ground truth of one person in these frames."""
    path.write_text("".join(f"{number},1,0,0,10,10\n" for number in numbers))
    return path
