"""Features of the crops of a data set, and figures over draws, with a model whose features are set by the test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from reid.datasets import Crop, CropSet
from reid.datasets.vehicleid import single_gallery_draws
from reid.evaluation.features import distinct_crops, evaluate_draws, extract_features

CPU = torch.device("cpu")


class Rows(nn.Module):
    """Feature of an image: its brightness, camera row and view row."""

    images = 0

    def forward(self, images: Tensor, cameras: Tensor, views: Tensor) -> Tensor:
        self.images += len(images)
        return torch.stack([images.mean((1, 2, 3)), cameras.float(), views.float()], dim=1)


class Angle(Rows):
    """Feature of an image: a direction in the plane, its brightness in degrees."""

    def forward(self, images: Tensor, cameras: Tensor, views: Tensor) -> Tensor:
        angle = super().forward(images, cameras, views)[:, 0].deg2rad()
        return torch.stack([angle.cos(), angle.sin()], dim=1)


def brightness(image: Image.Image) -> Tensor:
    return torch.full((3, 2, 2), float(image.getpixel((0, 0))[0]))  # type: ignore[index, arg-type]


def crop(folder: Path, person_id: int, camera: str, value: int, view: str | None = None) -> Crop:
    path = folder / f"{person_id}_{camera}_{value}.png"
    Image.new("RGB", (2, 2), (value, value, value)).save(path)
    return Crop(path, person_id, camera, view)


def test_camera_and_view_rows_go_by_name(tmp_path: Path) -> None:
    crops = CropSet.of(
        [crop(tmp_path, 1, "c1", 10, "v0"), crop(tmp_path, 2, "c2", 20), crop(tmp_path, 3, "c9", 30, "v7")]
    )
    options = {"device": CPU, "batch_size": 2}
    named = extract_features(Rows(), crops, brightness, cameras=["c2", "c1"], views=["v7", "v0"], **options)  # type: ignore[arg-type]
    assert named.features.tolist() == [[10, 1, 1], [20, 0, -1], [30, -1, 0]]
    unknown = extract_features(Rows(), crops, brightness, cameras=None, **options)  # type: ignore[arg-type]
    assert unknown.features.tolist() == [[10, -1, -1], [20, -1, -1], [30, -1, -1]]
    assert unknown.person_ids.tolist() == [1, 2, 3]


def test_figures_over_draws_are_means_and_crops_are_seen_once(tmp_path: Path) -> None:
    """Query 1 finds its match first in one draw (degrees 10, 12 | 40), second in the other (10 | 12, 40)."""
    query = CropSet.of([crop(tmp_path, 1, "query", 10)])
    near, far = crop(tmp_path, 1, "gallery", 12), crop(tmp_path, 1, "gallery", 60)
    other = crop(tmp_path, 2, "gallery", 40)
    draws = [(query, CropSet.of([near, other])), (query, CropSet.of([far, other]))]
    model = Angle()
    metrics = evaluate_draws(model, draws, brightness, cameras=None, device=CPU)
    assert model.images == 4
    assert metrics.mean_average_precision == pytest.approx((1 + 1 / 2) / 2)
    assert metrics.rank(1) == pytest.approx(0.5)
    assert metrics.rank(2) == pytest.approx(1.0)
    assert metrics.mean_inverse_negative_penalty == pytest.approx((1 + 1 / 2) / 2)
    assert metrics.queries == 1
    first = evaluate_draws(Angle(), draws[:1], brightness, cameras=None, device=CPU)
    assert first.mean_average_precision == 1.0


def test_a_picture_that_is_query_and_gallery_is_seen_once(tmp_path: Path) -> None:
    """As in the draws of VehicleID, where a crop is gallery in one and query in another."""
    pictures = [crop(tmp_path, 1, "c0", 10), crop(tmp_path, 1, "c0", 12), crop(tmp_path, 2, "c0", 40)]
    draws = single_gallery_draws(CropSet.of(pictures), draws=10, seed=0)
    model = Angle()
    evaluate_draws(model, draws, brightness, cameras=None, device=CPU)
    assert model.images == 3
    assert [crop.path for crop in distinct_crops(draws).crops] == list(
        dict.fromkeys(crop.path for draw in draws for part in draw for crop in part.crops)
    )
