"""Short cuts of the demo scene, for tests that run the real models."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.paths import PROJECT_ROOT
from pipeline.sources.open import open_source
from tests.helpers.media import write_video

SCENE = PROJECT_ROOT / "demo" / "scene"


def cut(camera: str, frames: int, target: Path, first: int = 0) -> Path:
    """Frames `first` to `first + frames - 1` of a camera of the demo scene as a video of its own."""
    images = []
    with open_source(camera, str(SCENE / f"{camera}.mp4")) as source:
        for frame in source:
            if frame.frame_index >= first + frames:
                break
            if frame.frame_index >= first and frame.image is not None:
                images.append(frame.image)
    return write_video(target, images, frame_rate=10)


def cut_ground_truth(camera: str, frames: int, target: Path, first: int = 0) -> Path:
    """The ground truth of such a cut."""
    kept = []
    for line in (SCENE / f"{camera}_gt.txt").read_text().splitlines():
        frame, rest = line.split(",", 1)
        if first < int(frame) <= first + frames:
            kept.append(f"{int(frame) - first},{rest}\n")
    target.write_text("".join(kept))
    return target
