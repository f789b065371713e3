"""The crops of a run: which are learned from, which progress is measured on, and how a training sample is made."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.errors import InputError
from reid.datasets import (
    CropSet,
    ReidDataset,
    camera_indices,
    hold_out_identities,
    read_rgb,
    view_indices,
)
from reid.training.config import DataConfig, TrainingConfig
from reid.training.transforms import TrainingTransform


@dataclass(frozen=True)
class SampleKey:
    """Which crop a sample is made from, and the numbers its randomness comes from."""

    crop: int
    seed: tuple[int, ...]


class TrainingCrops(Dataset[tuple[Tensor, int, int]]):
    """Augmented crops as (image (3, H, W), camera row or -1, view row or -1).

    Attributes:
        labels: class index of every crop.
    """

    def __init__(
        self,
        crops: CropSet,
        cameras: Sequence[str],
        views: Sequence[str],
        transform: TrainingTransform,
        camera_dropout: float,
    ) -> None:
        self._crops = crops
        self._transform = transform
        self._camera_dropout = camera_dropout
        self._camera_rows = camera_indices(crops, cameras)
        self._view_rows = view_indices(crops, views)
        class_of = {person_id: i for i, person_id in enumerate(crops.person_ids)}
        self.labels = [class_of[crop.person_id] for crop in crops.crops]

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, int, int]:
        rng = np.random.default_rng(key.seed)
        camera = -1 if rng.random() < self._camera_dropout else self._camera_rows[key.crop]
        image = read_rgb(self._crops.crops[key.crop].path)
        return self._transform(image, rng), camera, self._view_rows[key.crop]


@dataclass(frozen=True)
class Parts:
    """The crops of a run.

    Attributes:
        train: what it learns from.
        cameras, views: names of the rows of the side information table, in order.
        draws: (query, gallery) that its progress is measured on; several where the protocol is a mean over draws.
    """

    train: CropSet
    cameras: tuple[str, ...]
    views: tuple[str, ...]
    draws: tuple[tuple[CropSet, CropSet], ...]

    @property
    def digest(self) -> str:
        """Of the training crops."""
        return crops_digest(self.train)


def crops_digest(crops: CropSet) -> str:
    """16 hexadecimal digits of the crops in their order: file names, identities and cameras."""
    lines = (f"{crop.path.name} {crop.person_id} {crop.camera}\n" for crop in crops.crops)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def used_images(dataset: ReidDataset, config: DataConfig) -> list[Path]:
    """The image files that a run with `config` reads, sorted."""
    parts = [dataset.train]
    if not config.development_ids:
        parts += [dataset.query, dataset.gallery]
    if config.cameras is not None:
        parts = [part.of_cameras(config.cameras) for part in parts]
    return sorted({crop.path for part in parts for crop in part.crops})


def split(dataset: ReidDataset, config: TrainingConfig, left_out: Collection[Path] = ()) -> Parts:
    """Choose the cameras, and hold the development identities out of the training part.

    Args:
        left_out: image files to treat as if they were not there.

    Raises:
        InputError: unknown cameras, too few identities, none held out where the data set has no test part of its
            own, or a viewpoint embedding for data without viewpoints.
    """
    data = config.data

    def chosen(crops: CropSet) -> CropSet:
        return (crops if data.cameras is None else crops.of_cameras(data.cameras)).without(left_out)

    if data.cameras is not None:
        unknown = [name for name in data.cameras if name not in dataset.train.cameras]
        if unknown:
            raise InputError(
                f"data.cameras names {', '.join(unknown)}, but the training part's cameras are "
                f"{', '.join(dataset.train.cameras)}"
            )
    train = chosen(dataset.train)
    cameras, views = train.cameras, train.views
    if config.model.view_embedding and len(views) < 2:
        raise InputError(
            f"model.view_embedding needs crops of at least two viewpoints, but the data set has {len(views)}; "
            "switch it off"
        )
    held_out = data.development_ids
    identities = len(train.person_ids)
    if identities - held_out < data.ids_per_batch:
        raise InputError(
            f"the data set has {identities} identities in its training part; data.development_ids {held_out} and "
            f"data.ids_per_batch {data.ids_per_batch} together need more"
        )
    if held_out:
        train, development = hold_out_identities(train, held_out)
        return Parts(train, cameras, views, _with_matches([(development, development)]))
    if dataset.query is dataset.train:
        raise InputError(
            "data.development_ids is 0, but a plain folder has no test part of its own: hold some identities out"
        )
    draws = dataset.draws or ((dataset.query, dataset.gallery),)
    return Parts(
        train, cameras, views, _with_matches([(chosen(query), chosen(gallery)) for query, gallery in draws])
    )


def _with_matches(draws: Sequence[tuple[CropSet, CropSet]]) -> tuple[tuple[CropSet, CropSet], ...]:
    """`draws`; InputError when there is one in which nobody is to be found in another camera."""
    for query, gallery in draws:
        cameras_of: dict[int, set[str]] = {}
        for crop in gallery.crops:
            cameras_of.setdefault(crop.person_id, set()).add(crop.camera)
        if not any(cameras_of.get(crop.person_id, set()) - {crop.camera} for crop in query.crops):
            seen = ", ".join(CropSet(query.crops + gallery.crops).cameras) or "none"
            raise InputError(
                "nothing to measure progress on: none of the identities to find again is in two cameras "
                f"(cameras: {seen}); choose more cameras with data.cameras, or other crops"
            )
    return tuple(draws)
