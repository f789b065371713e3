"""What augmentation does to pictures whose result can be told by hand."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reid.training import augmentation
from reid.training.augmentation import BatchAugmentation, erase_rectangle
from reid.training.config import AugmentationConfig
from reid.training.transforms import EvaluationTransform

HALF = (0.5, 0.5, 0.5)
OFF: dict[str, Any] = {"flip_probability": 0.0, "pad_px": 0, "erasing_probability": 0.0}
SHARED: dict[str, Any] = {**OFF, "box_jitter": 0.1, "box_shift": 0.05, "noise": 0.05, "gamma_jitter": 0.3}
EVERYTHING = AugmentationConfig(
    **{**SHARED, "flip_probability": 0.5, "pad_px": 2, "erasing_probability": 0.5},
    occlusion_probability=0.5,
    low_resolution_probability=0.5,
    blur_probability=0.5,
    brightness_jitter=0.3,
    contrast_jitter=0.3,
    saturation_jitter=0.5,
    colour_cast=0.2,
    grey_probability=0.2,
    jpeg_probability=0.5,
)


def crops(batch: int = 6, size_hw: tuple[int, int] = (32, 16), seed: int = 0) -> Tensor:
    """Smooth pictures: noise of a few pixels blown up."""
    drawn = np.random.default_rng(seed).integers(0, 256, (batch, 3, 4, 2)).astype(np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(drawn), size=size_hw, mode="bilinear")
    return smooth.round().to(torch.uint8)


def augmented(images: Tensor, seed: int = 0, **settings: Any) -> Tensor:
    """In [0, 1]."""
    config = AugmentationConfig(**{**OFF, **settings})
    return BatchAugmentation(config, (0.0,) * 3, (1.0,) * 3)(images, np.random.default_rng(seed))


def test_with_everything_off_it_is_the_input_of_evaluation() -> None:
    image = Image.fromarray(crops(1)[0].permute(1, 2, 0).numpy())
    ours = BatchAugmentation(AugmentationConfig(**OFF), HALF, HALF)(crops(1), np.random.default_rng(0))[0]
    torch.testing.assert_close(ours, EvaluationTransform((32, 16), HALF, HALF)(image))


def test_a_flip_mirrors_left_and_right() -> None:
    torch.testing.assert_close(augmented(crops(), flip_probability=1.0), crops().flip(3) / 255)


def test_a_zero_border_comes_in_by_at_most_its_width() -> None:
    white = torch.full((40, 3, 32, 16), 255, dtype=torch.uint8)
    moved = augmented(white, pad_px=3)
    black_rows = (moved[:, 0].amax(2) == 0).sum(1)
    assert black_rows.max() == 3
    assert (moved[:, :, 8, 8] == 1).all()


def test_a_looser_or_tighter_box_keeps_the_middle() -> None:
    """The middle of a picture of one gradient keeps its value, its borders move by up to the jitter."""
    ramp = torch.linspace(0, 255, 32).round().to(torch.uint8).view(1, 1, 32, 1).expand(20, 3, 32, 16).contiguous()
    changed = augmented(ramp, box_jitter=0.2) - ramp / 255
    assert changed[:, :, 15:17].abs().max() < 0.02
    assert 0.02 < changed[:, :, 4].abs().max() < 0.5 * 0.25


def test_somebody_in_front_covers_a_tenth_to_four_tenths_with_pixels_of_another_crop() -> None:
    values = torch.arange(1, 31, dtype=torch.uint8).view(30, 1, 1, 1).expand(30, 3, 20, 10).contiguous()
    result = (augmented(values, occlusion_probability=1.0) * 255).round()
    covered = (result != values).float().mean((1, 2, 3))
    assert covered.max() <= 0.4
    assert (covered[covered > 0] >= 0.1).all()
    assert (covered > 0).sum() >= 25  # a few are covered by themselves
    assert set(result.unique().tolist()) <= set(range(1, 31))


def test_low_resolution_takes_detail_and_keeps_the_mean() -> None:
    lines = (
        torch.tensor([0, 255], dtype=torch.uint8).repeat(16).view(1, 1, 32, 1).expand(8, 3, 32, 16).contiguous()
    )
    coarse = augmented(lines, low_resolution_probability=1.0, smallest_scale=0.25)
    assert coarse.std((1, 2, 3)).max() < 0.4  # .5 before
    torch.testing.assert_close(coarse.mean((1, 2, 3)), torch.full((8,), 0.5), atol=0.03, rtol=0)


def test_blur_spreads_a_point_and_keeps_its_light() -> None:
    point = torch.zeros((16, 3, 33, 33), dtype=torch.uint8)
    point[:, :, 16, 16] = 255
    blurred = augmented(point, blur_probability=1.0)
    torch.testing.assert_close(blurred.sum((2, 3)), torch.ones(16, 3), atol=1e-4, rtol=0)
    assert (blurred[:, 0, 16, 16] < 1).all()


@pytest.mark.parametrize(
    ("setting", "lowest", "highest"),
    [("brightness_jitter", 0.5 / 1.5, 0.5 * 1.5), ("gamma_jitter", 0.5**1.5, 0.5 ** (1 / 1.5))],
)
def test_factors_stay_within_their_limits(setting: str, lowest: float, highest: float) -> None:
    grey = torch.full((200, 3, 4, 4), 128, dtype=torch.uint8)
    values = augmented(grey, **{setting: 0.5})[:, 0, 0, 0]
    assert lowest - 0.01 <= values.min() < 0.45
    assert 0.55 < values.max() <= highest + 0.01


def test_a_colour_cast_changes_the_channels_of_grey_differently() -> None:
    cast = augmented(torch.full((50, 3, 2, 2), 100, dtype=torch.uint8), colour_cast=0.2)[:, :, 0, 0]
    assert (cast.amax(1) - cast.amin(1)).mean() > 0.02
    assert cast.max() <= 100 / 255 * 1.2 + 1e-6


def test_grey_has_the_luma_of_the_colours() -> None:
    grey = augmented(crops(), grey_probability=1.0)
    assert (grey.amax(1) - grey.amin(1)).max() < 1e-6
    luma = (crops() / 255 * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    torch.testing.assert_close(grey[:, 0], luma)


def test_noise_is_as_strong_as_it_may_be() -> None:
    grey = torch.full((100, 3, 32, 16), 128, dtype=torch.uint8)
    deviations = augmented(grey, noise=0.1).std((1, 2, 3))
    assert deviations.min() < 0.02
    assert 0.08 < deviations.max() < 0.105


def test_coding_follows_a_real_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    """At one quality, of a smooth picture with an edge; Pillow's rounding of bytes is between them."""
    monkeypatch.setattr(augmentation, "_JPEG_QUALITY", (30.0, 30.0))
    image = crops(1, (64, 32), seed=3)
    image[:, :, 20:40, 8:20] = torch.tensor([200, 30, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    file = io.BytesIO()
    Image.fromarray(image[0].permute(1, 2, 0).numpy()).save(file, "jpeg", quality=30, subsampling=2)
    theirs = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1) / 255
    ours = augmented(image, jpeg_probability=1.0)[0]
    damage = (theirs - image[0] / 255).abs().mean()
    assert (ours - theirs).abs().mean() < 0.5 * damage
    assert damage > 0.01


def test_sides_that_are_no_multiple_of_a_block_are_coded() -> None:
    image = crops(2, (20, 11))
    coded = augmented(image, jpeg_probability=1.0)
    assert coded.shape == image.shape
    assert (coded - image / 255).abs().mean() < 0.1


def test_the_generator_decides_everything() -> None:
    change = BatchAugmentation(EVERYTHING, HALF, HALF)
    once, again, other = (change(crops(12), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.isfinite(once).all()


def test_crops_are_left_as_they_are() -> None:
    images = crops(12)
    before = images.clone()
    BatchAugmentation(EVERYTHING, HALF, HALF)(images, np.random.default_rng(0))
    assert torch.equal(images, before)


def test_erased_rectangle_is_a_share_of_the_image() -> None:
    for seed in range(30):
        pixels = torch.full((3, 64, 32), 9.0)
        erase_rectangle(pixels, np.random.default_rng(seed))
        erased = pixels[0] != 9.0
        rows, columns = erased.any(1).nonzero(), erased.any(0).nonzero()
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert erased.sum() == height * width
        assert 0.015 < height * width / (64 * 32) < 0.36  # 2 % to 33 %, sides rounded to pixels
