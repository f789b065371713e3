"""Compute the features of a data set's crops with torch, and evaluate retrieval with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from pipeline.core.errors import InputError
from reid.datasets import Crop, CropSet, camera_indices, read_rgb, view_indices
from reid.evaluation.retrieval import LabelledFeatures, RetrievalMetrics, evaluate_retrieval, mean_metrics

Transform = Callable[[Image.Image], Tensor]


class _TransformedCrops(Dataset[tuple[Tensor, int, int]]):
    def __init__(
        self, crops: CropSet, camera_rows: Sequence[int], view_rows: Sequence[int], transform: Transform
    ) -> None:
        self._crops = crops
        self._camera_rows = camera_rows
        self._view_rows = view_rows
        self._transform = transform

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        image = self._transform(read_rgb(self._crops.crops[index].path))
        return image, self._camera_rows[index], self._view_rows[index]


def extract_features(
    model: nn.Module,
    crops: CropSet,
    transform: Transform,
    *,
    cameras: Sequence[str] | None,
    views: Sequence[str] | None = None,
    device: torch.device,
    batch_size: int = 64,
    workers: int = 0,
) -> LabelledFeatures:
    """Return the features of `crops`, in their order, with their labels. Leaves the model in evaluation mode.

    Args:
        model: maps images (B, 3, H, W), camera rows (B,) and view rows (B,) to features (B, D).
        cameras: names of the model's camera rows; a camera that is not among them gets the row for unknown cameras.
            None gives every crop that row.
        views: names of the model's views; a crop with an unknown view gets the mean over views. None gives every crop
            that mean.

    Raises:
        InputError: a crop cannot be read; the message names it.
    """
    rows = [-1] * len(crops) if cameras is None else camera_indices(crops, cameras)
    view_rows = [-1] * len(crops) if views is None else view_indices(crops, views)
    loader = DataLoader(
        _TransformedCrops(crops, rows, view_rows, transform), batch_size=batch_size, num_workers=workers
    )
    model.eval()
    features = []
    try:
        with torch.inference_mode():
            for images, *indices in loader:
                cameras_of_batch, views_of_batch = (index.to(device) for index in indices)
                batch = model(images.to(device), cameras=cameras_of_batch, views=views_of_batch)
                features.append(batch.float().cpu().numpy())
    except InputError as error:
        # an error from a worker process includes the worker's traceback, with the error itself last
        own_line = str(error).splitlines()[-1]
        raise InputError(own_line.removeprefix(f"{InputError.__module__}.{InputError.__name__}: ")) from error
    return LabelledFeatures(
        features=np.concatenate(features),
        person_ids=np.array([crop.person_id for crop in crops.crops], np.int64),
        cameras=np.array([crop.camera for crop in crops.crops]),
    )


def evaluate_draws(
    model: nn.Module,
    draws: Sequence[tuple[CropSet, CropSet]],
    transform: Transform,
    *,
    cameras: Sequence[str] | None,
    views: Sequence[str] | None = None,
    device: torch.device,
    batch_size: int = 64,
    workers: int = 0,
) -> RetrievalMetrics:
    """Return mean metrics over draws of (query, gallery), as in VehicleID's protocol (`ReidDataset.draws`).

    A crop that is in several parts passes through the model once (`embed_draws`). Other arguments are those of
    `extract_features`.
    """

    def embed(crops: CropSet) -> NDArray[np.float32]:
        return extract_features(
            model,
            crops,
            transform,
            cameras=cameras,
            views=views,
            device=device,
            batch_size=batch_size,
            workers=workers,
        ).features

    return mean_metrics([evaluate_retrieval(query, gallery) for query, gallery in embed_draws(draws, embed)])


def distinct_crops(draws: Sequence[tuple[CropSet, CropSet]]) -> CropSet:
    """Return every picture of all draws once, as the first crop with its path."""
    first: dict[Path, Crop] = {}
    for crop in (crop for draw in draws for part in draw for crop in part.crops):
        first.setdefault(crop.path, crop)
    return CropSet(tuple(first.values()))


def embed_draws(
    draws: Sequence[tuple[CropSet, CropSet]], embed: Callable[[CropSet], NDArray[Any]]
) -> list[tuple[LabelledFeatures, LabelledFeatures]]:
    """Return labelled features of each draw's query and gallery; the same object twice if they are the same crops.

    Args:
        draws: (query, gallery) of each draw; several if the protocol repeats with random galleries.
        embed: maps N crops to features (N, D). It is called once with all distinct pictures, each with the camera of
            its first occurrence. Cameras differ between draws only in data without cameras.
    """
    distinct = distinct_crops(draws)
    features = embed(distinct)
    row_of = {crop.path: row for row, crop in enumerate(distinct.crops)}

    def labelled(crops: CropSet) -> LabelledFeatures:
        return LabelledFeatures(
            features[[row_of[crop.path] for crop in crops.crops]],
            np.array([crop.person_id for crop in crops.crops], np.int64),
            np.array([crop.camera for crop in crops.crops]),
        )

    parts = []
    for query, gallery in draws:
        query_features = labelled(query)
        parts.append((query_features, query_features if gallery is query else labelled(gallery)))
    return parts
