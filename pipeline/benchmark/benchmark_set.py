"""What a benchmark runs on: cameras as in any configuration, and their ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Config, load_config, merge, read_config_file, resolve_path
from pipeline.errors import InputError
from pipeline.mot_files import read_ground_truth
from pipeline.track_boxes import TrackBoxes, crop_ground_truth


@dataclass(frozen=True, eq=False)
class BenchmarkSet:
    """Cameras that are scored together.

    Attributes:
        name: of its file.
        config: cameras, detector and embedder; the tracking settings in it are the defaults.
        ground_truth: camera -> boxes with global ids, cropped as the camera is.
    """

    name: str
    config: Config
    ground_truth: Mapping[str, TrackBoxes]


def read_benchmark_set(path: Path, overrides: Mapping[str, Any] | None = None) -> BenchmarkSet:
    """A configuration file with one section more, `ground_truth`: camera -> MOT ground truth (.txt).

    Args:
        overrides: as of `load_config`.

    Raises:
        InputError: the file or a ground truth cannot be read, a camera has none, or settings of tracking differ
            from the defaults: all sets are run with the same.
    """
    content = read_config_file(path)
    files = content.pop("ground_truth", None)
    if not isinstance(files, dict) or not files:
        raise InputError(f"{path}: ground_truth must name a MOT ground truth for every camera")
    if tuned := [name for name in ("tracker", "linker", "second_pass") if content.get(name)]:
        raise InputError(
            f"{path}: has settings of its own for {', '.join(tuned)}; a benchmark uses one configuration for all "
            "sets. Try other settings with --set"
        )
    config = load_config(None, merge(content, overrides or {}))
    names = [camera.name for camera in config.cameras]
    if set(files) != set(names):
        wrong = ", ".join(sorted(map(str, set(files) ^ set(names))))
        raise InputError(f"{path}: cameras and ground_truth must name the same cameras; only on one side: {wrong}")
    truth = {}
    for camera in config.cameras:
        boxes = read_ground_truth(Path(resolve_path(str(files[camera.name]), path)))
        if camera.crop_xyxy_px is not None:
            boxes = crop_ground_truth(boxes, camera.crop_xyxy_px)
        truth[camera.name] = boxes
    return BenchmarkSet(path.stem, config, truth)
