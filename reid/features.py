"""Features of the crops of a data set, and how well they find people again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from reid.datasets import CropSet, camera_indices, read_rgb
from reid.evaluation import LabelledFeatures, RetrievalMetrics, evaluate_retrieval

Transform = Callable[[Image.Image], Tensor]


class _TransformedCrops(Dataset[tuple[Tensor, int]]):
    def __init__(self, crops: CropSet, camera_index: Sequence[int], transform: Transform) -> None:
        self._crops = crops
        self._camera_index = camera_index
        self._transform = transform

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(read_rgb(self._crops.crops[index].path)), self._camera_index[index]


def extract_features(
    model: nn.Module,
    crops: CropSet,
    transform: Transform,
    *,
    cameras: Sequence[str] | None,
    device: torch.device,
    batch_size: int = 64,
    workers: int = 0,
) -> LabelledFeatures:
    """Features of `crops`, in their order, with their labels. Leaves the model in evaluation mode.

    Args:
        model: images (B, 3, H, W) and camera rows (B,) to features (B, D).
        cameras: names of the model's camera rows; a camera that is not among them gets the unknown row.
            None gives every crop the unknown row.
    """
    rows = [-1] * len(crops) if cameras is None else camera_indices(crops, cameras)
    loader = DataLoader(_TransformedCrops(crops, rows, transform), batch_size=batch_size, num_workers=workers)
    model.eval()
    features = []
    with torch.inference_mode():
        for images, camera_rows in loader:
            features.append(model(images.to(device), cameras=camera_rows.to(device)).float().cpu().numpy())
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
    device: torch.device,
    batch_size: int = 64,
    workers: int = 0,
) -> RetrievalMetrics:
    """Search `query` in `gallery` with the model's features; arguments as of `extract_features`."""

    def features(crops: CropSet) -> LabelledFeatures:
        return extract_features(
            model, crops, transform, cameras=cameras, device=device, batch_size=batch_size, workers=workers
        )

    query_features = features(query)
    return evaluate_retrieval(query_features, query_features if gallery is query else features(gallery))
