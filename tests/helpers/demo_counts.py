"""Zones, lines and ground truth of the demo scene, for tests of counting."""

from __future__ import annotations

import csv

import numpy as np

from pipeline.commands.demo import DEMO_CONFIG
from pipeline.config.config import load_config
from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.files.mot_files import read_ground_truth
from pipeline.floor.camera_geometry import geometry_of
from tests.helpers.demo_clips import SCENE

SIZE_WH = (640, 360)
ZONES = [
    {"name": "lobby", "polygon_m": [[0.5, 1.5], [11, 1.5], [11, 9], [0.5, 9]]},
    {"name": "gallery", "polygon_m": [[22, 1], [27, 1], [27, 9.5], [22, 9.5]]},
]
LINES = [{"name": "door", "points_m": [[9, 0], [9, 11]]}, {"name": "half", "points_m": [[6, 0], [6, 11]]}]


def true_positions() -> list[LinkedRow]:
    """The true positions of all people, also of those whom no camera sees."""
    with (SCENE / "floor.csv").open(encoding="utf-8") as file:
        return [
            _row(
                "cam1",
                int(one["frame_index"]),
                int(one["global_id"]),
                (0, 0, 1, 1),
                (float(one["x_m"]), float(one["y_m"])),
            )
            for one in csv.DictReader(file)
        ]


def true_boxes(first: int = 0, frames: int = 1000) -> list[LinkedRow]:
    """The ground-truth boxes of all cameras, with the floor positions that their homographies give, in order of time.

    Args:
        first, frames: of a cut of the scene, whose first frame is at second 0.
    """
    rows = []
    for camera in load_config(DEMO_CONFIG).cameras:
        truth = read_ground_truth(SCENE / f"{camera.name}_gt.txt")
        floor = geometry_of(camera, SIZE_WH).floor_xy_m(truth.xyxy)
        assert floor is not None
        for frame, person, xyxy, xy in zip(truth.frame_index, truth.ids, truth.xyxy, floor, strict=True):
            if first <= frame < first + frames:
                x1, y1, x2, y2 = map(float, xyxy)
                at = (float(xy[0]), float(xy[1])) if np.isfinite(xy).all() else None
                rows.append(_row(camera.name, int(frame) - first, int(person), (x1, y1, x2, y2), at))
    return sorted(rows, key=lambda linked: (linked.row.time_s, linked.row.camera_id))


def _row(
    camera: str, frame: int, person: int, xyxy: tuple[float, float, float, float], xy_m: tuple[float, float] | None
) -> LinkedRow:
    row = TrajectoryRow(camera, person, frame, frame / 10, "person", xyxy, 1.0, xy_m)
    return LinkedRow(row, Link(person, 1.0, True))
