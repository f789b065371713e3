"""A run of the looped scene with two mistakes in its ids, and the ground truth of the scene."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.core.datatypes import Link
from pipeline.files.results_csv import TrajectoryWriter, read_trajectories
from tests.helpers.looped_scene import CAMERAS, FRAME_RATE, LOOP_S, LOOPS, boxes_at

#: The small figure of the first loop (left:3, 10 boxes) has the id of the red one, which is 1, with little confidence.
WRONG_LINK = ("left", 3)
#: The red figure in `right` in the second loop (30 boxes) has an id of its own.
LOST_ID = 9


def with_mistakes(run: Path, folder: Path) -> Path:
    """Copy a run of the looped scene, and make the mistakes in the copy."""
    shutil.copytree(run, folder)
    with TrajectoryWriter(folder, list(CAMERAS), None) as writer:
        for linked in read_trajectories(run / "trajectories.csv"):
            row, link = linked.row, linked.link
            if (row.camera_id, row.track_id) == WRONG_LINK:
                link = Link(1, 0.4, final=True)
            elif row.camera_id == "right" and link.global_id == 1 and 12 <= row.time_s < 24:
                link = Link(LOST_ID, 0.95, final=True)
            writer.write(linked._replace(link=link))
    return folder


def write_truth(folder: Path) -> dict[str, Path]:
    """Ground truth in MOTChallenge text: every figure keeps its id, but each small one is somebody else."""
    files = {}
    for name in CAMERAS:
        lines = []
        for index in range(LOOPS * LOOP_S * FRAME_RATE):
            for figure, (x1, y1, x2, y2) in boxes_at(name, index):
                own = figure.dim + 1 + (index // (LOOP_S * FRAME_RATE) if figure.dim == 2 else 0)
                lines.append(f"{index + 1},{own},{x1},{y1},{x2 - x1},{y2 - y1},1,1,1")
        files[name] = folder / f"{name}_gt.txt"
        files[name].write_text("\n".join(lines) + "\n")
    return files
