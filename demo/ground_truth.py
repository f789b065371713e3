"""Ground truth files: MOT boxes per camera, floor positions, homographies."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from demo.cameras import Camera

MIN_VISIBILITY = 0.35  # a person below this is not scored
MIN_HEIGHT_PX = 20.0  # a box below this is not scored


@dataclass(frozen=True)
class TruthBox:
    """One person in one frame of one camera.

    Attributes:
        frame_index: 0-based.
        global_id: 1-based, the same in all cameras.
        tlwh: left, top, width, height in pixels; clipped to the image, without parts hidden by scenery, but including
            parts hidden by other people.
        visibility: visible share of the whole person: inside the image and not hidden, 0..1.
    """

    frame_index: int
    global_id: int
    tlwh: tuple[float, float, float, float]
    visibility: float

    @property
    def scored(self) -> bool:
        """Whether the box counts in the evaluation: not mostly hidden, not mostly outside the image, not tiny."""
        return self.visibility >= MIN_VISIBILITY and self.tlwh[3] >= MIN_HEIGHT_PX


def write_mot(path: Path, boxes: Iterable[TruthBox]) -> None:
    """Write a MOTChallenge gt.txt: frame (1-based), id, left, top, width, height, flag, class 1, visibility.

    Flag 0 means not scored. Left and top are 0-based pixels of this project's image frame, without the 1 that ground
    truth made with MATLAB adds.
    """
    with path.open("w", newline="\n") as file:
        for box in sorted(boxes, key=lambda b: (b.frame_index, b.global_id)):
            left, top, width, height = box.tlwh
            file.write(
                f"{box.frame_index + 1},{box.global_id},{left:.2f},{top:.2f},{width:.2f},{height:.2f},"
                f"{int(box.scored)},1,{box.visibility:.2f}\n"
            )


def write_floor(path: Path, rows: Iterable[tuple[int, float, int, float, float]]) -> None:
    """Write floor positions: frame_index (0-based), time_s, global_id, x_m, y_m."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["frame_index", "time_s", "global_id", "x_m", "y_m"])
        for frame_index, time_s, global_id, x_m, y_m in rows:
            writer.writerow([frame_index, f"{time_s:.3f}", global_id, f"{x_m:.3f}", f"{y_m:.3f}"])


def write_cameras(path: Path, cameras: Sequence[Camera], size_wh: tuple[int, int]) -> None:
    """Write a configuration with name, source and homography of each camera, image (u, v, 1) to floor (x, y, 1)."""
    entries = [
        {
            "name": camera.name,
            "source": f"{camera.name}.mp4",
            "homography": [[float(f"{v:.9g}") for v in row] for row in camera.image_to_floor(size_wh)],
        }
        for camera in cameras
    ]
    text = "# homography: image (u, v, 1) in pixels -> floor (x, y, 1) in metres, for the foot of a box\n"
    text += yaml.safe_dump({"cameras": entries}, sort_keys=False, default_flow_style=None)
    path.write_text(text, encoding="utf-8")


def write_benchmark_set(path: Path, cameras: Sequence[Camera]) -> None:
    """Write the input of `mtmc benchmark trackers`: the configuration `cameras.yaml` and the ground truth files."""
    content = {
        "config": "cameras.yaml",
        "ground_truth": {camera.name: f"{camera.name}_gt.txt" for camera in cameras},
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
