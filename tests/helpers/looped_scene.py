"""A scene that is played three times, with numbers that can be counted by hand.

In each loop of 12 s, a red and a blue figure cross the camera `left` and then the camera `right`, 3 s in each. Then a
figure that is too small for a good crop stands in `left` for 1 s. All cameras have 10 frames per second.

    seconds of a loop   0   1   2   3   4   5   6   7   8   9   10
    left, red               [-----------]
    left, blue                  [-----------]
    left, small                             [---]
    right, red                                  [-----------]
    right, blue                                     [-----------]

So there are 2 people with 6 stays each (of 30 boxes), and 3 fragments of 10 boxes. Both people walk from left to right
three times, with 2.1 s between the last and the first box, and from right to left twice, with 4.1 s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config, load_config
from pipeline.core.datatypes import Detections, FloatArray, Frame
from pipeline.core.fake_models import FakeDetector, FakeEmbedder
from pipeline.core.yaml_file import merge
from pipeline.recorded.run_summary import RunSummary
from pipeline.recorded.track import track
from tests.helpers.factories import make_detections
from tests.helpers.media import write_video

FRAME_RATE = 10
LOOP_S = 12
LOOPS = 3
SIZE_WH = (160, 160)
CAMERAS = ("left", "right")
#: At most this far apart are two embeddings of one figure; those of two figures have distance 1.
LIMIT = 0.3


class Figure(NamedTuple):
    """Somebody in view of a camera.

    first, frames: in a loop. top, width, height: of the box in px. dim: of the embedding, which is 1 only there.
    """

    camera_id: str
    first: int
    frames: int
    top: int
    width: int
    height: int
    bgr: tuple[int, int, int]
    dim: int


FIGURES = (
    Figure("left", 10, 30, 10, 24, 60, (40, 40, 220), 0),
    Figure("left", 20, 30, 85, 24, 60, (220, 80, 40), 1),
    Figure("left", 50, 10, 70, 8, 14, (90, 90, 90), 2),
    Figure("right", 60, 30, 10, 24, 60, (40, 40, 220), 0),
    Figure("right", 70, 30, 85, 24, 60, (220, 80, 40), 1),
)


def boxes_at(camera_id: str, frame_index: int) -> list[tuple[Figure, list[float]]]:
    """Who is in view, with the box (left, top, right, bottom) in px."""
    place = frame_index % (LOOP_S * FRAME_RATE)
    found = []
    for one in FIGURES:
        step = place - one.first
        if one.camera_id == camera_id and 0 <= step < one.frames:
            x = 10.0 + 3.5 * step
            found.append((one, [x, float(one.top), x + one.width, float(one.top + one.height)]))
    return found


def picture(camera_id: str, frame_index: int) -> NDArray[np.uint8]:
    """The image of a frame, (H, W, 3) uint8 BGR."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), 200, np.uint8)
    for one, (x1, y1, x2, y2) in boxes_at(camera_id, frame_index):
        image[int(y1) : int(y2), int(x1) : int(x2)] = one.bgr
    return image


def write_recordings(folder: Path) -> dict[str, Path]:
    """The recording of each camera."""
    return {
        name: write_video(
            folder / f"{name}.mp4", [picture(name, index) for index in range(LOOPS * LOOP_S * FRAME_RATE)]
        )
        for name in CAMERAS
    }


def detector() -> FakeDetector:
    """Finds every figure."""

    def boxes_of(frame: Frame) -> Detections:
        return make_detections([box for _, box in boxes_at(frame.camera_id, frame.frame_index)])

    return FakeDetector(boxes_of)


def embedder() -> FakeEmbedder:
    """Tells the figures apart."""

    def vectors_of(frame: Frame, xyxy: FloatArray) -> FloatArray:
        here = boxes_at(frame.camera_id, frame.frame_index)
        vectors = np.zeros((len(xyxy), 8), np.float32)
        for row, box in enumerate(xyxy):
            figure, _ = min(here, key=lambda one: float(np.abs(np.array(one[1]) - box).sum()))
            vectors[row, figure.dim] = 1
        return vectors

    return FakeEmbedder(vectors_of, dim=8)


def configuration(recordings: dict[str, Path], **settings: Any) -> Config:
    """The configuration of a run over the recordings."""
    limit = {"max_cosine_distance": LIMIT}
    both = {**limit, "max_centred_cosine_distance": None}
    base = {
        "cameras": [{"name": name, "source": str(path)} for name, path in recordings.items()],
        "tracker": limit,
        "linker": both,
        "second_pass": both,
    }
    return load_config(None, merge(base, settings))


def run_scene(folder: Path, recordings: dict[str, Path], **settings: Any) -> RunSummary:
    """Track the scene into `folder`."""
    return track(
        configuration(recordings, **settings), folder, detector=detector(), embedder=embedder(), overwrite=True
    )


def write_detections(folder: Path) -> dict[str, Path]:
    """MOTChallenge text with every figure, for runs from the command line without a model."""
    files = {}
    for name in CAMERAS:
        lines = [
            f"{index + 1},-1,{x1},{y1},{x2 - x1},{y2 - y1},0.9"
            for index in range(LOOPS * LOOP_S * FRAME_RATE)
            for _, (x1, y1, x2, y2) in boxes_at(name, index)
        ]
        files[name] = folder / f"{name}_det.txt"
        files[name].write_text("\n".join(lines) + "\n")
    return files
