"""Features of the crops of a data set, and how well they find people again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from reid.datasets import Crop, CropSet, camera_indices, read_rgb, view_indices
from reid.evaluation import LabelledFeatures, RetrievalMetrics, evaluate_retrieval

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
    """Features of `crops`, in their order, with their labels. Leaves the model in evaluation mode.

    Args:
        model: images (B, 3, H, W), camera rows and view rows (B,) to features (B, D).
        cameras: names of the model's camera rows; a camera that is not among them gets the unknown row.
            None gives every crop the unknown row.
        views: names of the model's views, likewise; a crop whose view is not known gets the mean over views.
    """
    rows = [-1] * len(crops) if cameras is None else camera_indices(crops, cameras)
    view_rows = [-1] * len(crops) if views is None else view_indices(crops, views)
    loader = DataLoader(
        _TransformedCrops(crops, rows, view_rows, transform), batch_size=batch_size, num_workers=workers
    )
    model.eval()
    features = []
    with torch.inference_mode():
        for images, *indices in loader:
            cameras_of_batch, views_of_batch = (index.to(device) for index in indices)
            batch = model(images.to(device), cameras=cameras_of_batch, views=views_of_batch)
            features.append(batch.float().cpu().numpy())
    return LabelledFeatures(
        features=np.concatenate(features),
        person_ids=np.array([crop.person_id for crop in crops.crops], np.int64),
        cameras=np.array([crop.camera for crop in crops.crops]),
    )


def evaluate_model(
    model: nn.Module,
    query: CropSet,
    gallery: CropSet,
    transform: Transform,
    *,
    cameras: Sequence[str] | None,
    views: Sequence[str] | None = None,
    device: torch.device,
    batch_size: int = 64,
    workers: int = 0,
) -> RetrievalMetrics:
    """Search `query` in `gallery` with the model's features; arguments as of `extract_features`."""
    return evaluate_draws(
        model,
        [(query, gallery)],
        transform,
        cameras=cameras,
        views=views,
        device=device,
        batch_size=batch_size,
        workers=workers,
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
    """Mean figures over draws of (query, gallery), as VehicleID's protocol has them (`ReidDataset.draws`).

    A crop that is in several parts is put through the model once. Other arguments are those of `extract_features`.
    """
    distinct = CropSet(tuple(dict.fromkeys(crop for draw in draws for part in draw for crop in part.crops)))
    all_features = extract_features(
        model,
        distinct,
        transform,
        cameras=cameras,
        views=views,
        device=device,
        batch_size=batch_size,
        workers=workers,
    )
    row_of: dict[Crop, int] = {crop: row for row, crop in enumerate(distinct.crops)}

    def part_of(crops: CropSet) -> LabelledFeatures:
        rows = np.array([row_of[crop] for crop in crops.crops], np.int64)
        return LabelledFeatures(
            all_features.features[rows], all_features.person_ids[rows], all_features.cameras[rows]
        )

    metrics = [evaluate_retrieval(part_of(query), part_of(gallery)) for query, gallery in draws]
    return metrics[0] if len(metrics) == 1 else _mean(metrics)


def _mean(metrics: Sequence[RetrievalMetrics]) -> RetrievalMetrics:
    """Mean over draws; numbers of queries are those of the first."""
    length = min(len(m.cmc) for m in metrics)
    return RetrievalMetrics(
        mean_average_precision=float(np.mean([m.mean_average_precision for m in metrics])),
        cmc=np.mean([m.cmc[:length] for m in metrics], axis=0),
        mean_inverse_negative_penalty=float(np.mean([m.mean_inverse_negative_penalty for m in metrics])),
        queries=metrics[0].queries,
        queries_without_match=metrics[0].queries_without_match,
    )
