"""The input of a benchmark: cameras as in any configuration, and their ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.config.config import Config, load_config
from pipeline.config.config_file import read_config_file, resolve_path
from pipeline.core.config_faults import describe
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.track_boxes import TrackBoxes, check_unique, crop_ground_truth


@dataclass(frozen=True, eq=False)
class BenchmarkSet:
    """Cameras that are scored together.

    Attributes:
        name: name of its file.
        config: cameras, detector and embedder; the tracking settings in it are the defaults.
        ground_truth: camera -> boxes with global ids, cropped like the camera's image.
        detections: camera -> saved detections, for sets without pictures; None if they are to be computed.
    """

    name: str
    config: Config
    ground_truth: Mapping[str, TrackBoxes]
    detections: Mapping[str, Path] | None = None


class _Rules(BaseModel):
    """The keys that a set has in addition to those of a configuration; see `read_benchmark_set`."""

    model_config = ConfigDict(strict=True)

    ground_truth: Annotated[dict[str, str], Field(min_length=1)]
    identity_memory_s: Annotated[float, Field(gt=0)] | None = None
    same_person: list[Annotated[list[int], Field(min_length=2)]] = []
    config: str | None = None
    detections: dict[str, str] | None = None


def read_benchmark_set(path: Path, overrides: Mapping[str, Any] | None = None) -> BenchmarkSet:
    """Read a benchmark set: a configuration file with these additional keys.

    - `ground_truth`: camera -> MOT ground truth (.txt).
    - `identity_memory_s`: people who come back after more than this many seconds have a new identity in the ground
      truth. The linker gives them a new one, too. That is the rule of MOTChallenge. Without the key, people keep
      their identity.
    - `same_person`: lists of ground-truth ids that are one person.
    - `detections`: camera -> saved detections (.parquet); with them no pictures are needed.
    - `config`: another configuration file to start from.

    Args:
        overrides: as in `load_config`.

    Raises:
        InputError: the file or a ground truth cannot be read; a camera has no ground truth; two ids of one
            `same_person` list are in the same frame; or the file has tracking settings of its own.
    """
    content = read_config_file(path)
    try:
        rules = _Rules.model_validate({key: content.pop(key) for key in _Rules.model_fields if key in content})
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from error
    if rules.config is not None:
        content = merge(read_config_file(Path(resolve_path(rules.config, path))), content)
    if tuned := [name for name in ("tracker", "linker", "second_pass") if content.get(name)]:
        raise InputError(
            f"{path}: has settings of its own for {', '.join(tuned)}, but a benchmark uses one configuration for "
            "all sets. Try other settings with --set"
        )
    if rules.identity_memory_s is not None:
        content["linker"] = {"identity_memory_s": rules.identity_memory_s}
    config = load_config(None, merge(content, overrides or {}))
    files = rules.ground_truth
    names = [camera.name for camera in config.cameras]
    if set(files) != set(names):
        wrong = ", ".join(sorted(set(files) ^ set(names)))
        raise InputError(f"{path}: cameras and ground_truth must name the same cameras; only on one side: {wrong}")
    detections = None
    if rules.detections is not None:
        if wrong_names := set(rules.detections) ^ set(names):
            raise InputError(
                f"{path}: cameras and detections must name the same cameras; only on one side: "
                f"{', '.join(sorted(wrong_names))}"
            )
        detections = {name: Path(resolve_path(file, path)) for name, file in rules.detections.items()}
    one_of = {other: group[0] for group in rules.same_person for other in group}
    truth = {}
    for camera in config.cameras:
        boxes = _renamed(
            read_ground_truth(Path(resolve_path(files[camera.name], path))), one_of, path, camera.name
        )
        if camera.crop_xyxy_px is not None:
            boxes = crop_ground_truth(boxes, camera.crop_xyxy_px)
        truth[camera.name] = boxes
    return BenchmarkSet(path.stem, config, truth, detections)


def _renamed(boxes: TrackBoxes, one_of: Mapping[int, int], path: Path, camera_id: str) -> TrackBoxes:
    """Return the boxes with their ids replaced according to `one_of`; ids that it does not contain stay."""
    ids = np.array([one_of.get(i, i) for i in boxes.ids.tolist()], np.int64)

    def fail(first: int, second: int) -> NoReturn:
        raise InputError(
            f"{path}: same_person says that {boxes.ids[first]} and {boxes.ids[second]} are one person, but camera "
            f"{camera_id!r} has both in frame {boxes.frame_index[second] + 1} of its ground truth: they are two people"
        )

    check_unique((boxes.frame_index, ids), fail)
    return replace(boxes, ids=ids)
