"""Samples of crops for calibrating and checking an exported network, from a data set or from the demo scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray
from pipeline.core.errors import InputError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.mot_files import read_ground_truth
from pipeline.sources.open import open_source
from reid.crops import crop_boxes, resize_image
from reid.datasets import read_dataset, read_rgb
from reid.model_header import UNKNOWN

DEMO_SCENE = PROJECT_ROOT / "demo" / "scene"


@dataclass(frozen=True, eq=False)
class CropSample:
    """Crops with their person and camera.

    Attributes:
        crops: (N, 3, H, W) uint8 RGB.
        person_ids: (N,) int64.
        cameras: (N,) names.
    """

    crops: NDArray[np.uint8]
    person_ids: IntArray
    cameras: NDArray[Any]

    def rows(self, camera_names: Sequence[str]) -> IntArray:
        """Return (N,) int64, each crop's row of a camera table with these names, or UNKNOWN."""
        position = {name: row for row, name in enumerate(camera_names)}
        return np.array([position.get(str(name), UNKNOWN) for name in self.cameras], np.int64)

    def first(self, count: int) -> CropSample:
        """Return the first `count` crops."""
        return CropSample(self.crops[:count], self.person_ids[:count], self.cameras[:count])

    def halves(self) -> tuple[CropSample, CropSample]:
        """Split into two samples without a common person: the people at even and at odd positions, with all crops.

        Raises:
            InputError: all crops are of one person.
        """
        persons, position = np.unique(self.person_ids, return_inverse=True)
        if len(persons) < 2:
            raise InputError(
                f"the {len(self.person_ids)} crops are all of one person, but one half of the people calibrates an "
                "int8 network and the other measures it: give --data with more people, or more --crops"
            )
        first, second = (np.flatnonzero(position % 2 == odd) for odd in (0, 1))
        return self._at(first), self._at(second)

    def _at(self, chosen: IntArray) -> CropSample:
        return CropSample(self.crops[chosen], self.person_ids[chosen], self.cameras[chosen])


def sample_of_dataset(folder: Path, size_hw: tuple[int, int], count: int, layout: str = "auto") -> CropSample:
    """Return at most `count` crops of a data set's gallery, without distractors. They are evenly spaced, so that most
    people occur once or twice.

    Raises:
        InputError: the folder is not a data set.
    """
    crops = read_dataset(folder, layout).people.crops
    chosen = [
        crops[index] for index in np.unique(np.linspace(0, len(crops) - 1, min(count, len(crops))).astype(int))
    ]
    pixels = [resize_image(read_rgb(crop.path), size_hw) for crop in chosen]
    return CropSample(
        np.stack(pixels),
        np.array([crop.person_id for crop in chosen], np.int64),
        np.array([crop.camera for crop in chosen]),
    )


def sample_of_demo(size_hw: tuple[int, int], count: int) -> CropSample:
    """Return at most `count` crops of the ground truth boxes of the demo scene, evenly spaced over cameras and time."""
    crops: list[NDArray[np.uint8]] = []
    ids: list[int] = []
    cameras: list[str] = []
    for video in sorted(DEMO_SCENE.glob("*.mp4")):
        truth = read_ground_truth(DEMO_SCENE / f"{video.stem}_gt.txt")
        with open_source(video.stem, str(video)) as source:
            for frame in source:
                shown = truth.frame_index == frame.frame_index
                if frame.frame_index % 10 or frame.image is None or not shown.any():
                    continue
                cut, valid = crop_boxes(frame.image, truth.xyxy[shown].astype(np.float32), size_hw)
                crops.append(cut)
                ids += truth.ids[shown][valid].tolist()
                cameras += [video.stem] * len(cut)
    chosen = np.unique(np.linspace(0, len(ids) - 1, min(count, len(ids))).astype(int))
    return CropSample(np.concatenate(crops)[chosen], np.array(ids, np.int64)[chosen], np.array(cameras)[chosen])
