"""Boxes to crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from reid.crops import crop_boxes
from reid.normalise import normalise

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("box", "valid"),
    [
        pytest.param([2, 1, 6, 7], True, id="inside"),
        pytest.param([-5, -5, 3, 4], True, id="reaching outside"),
        pytest.param([-50, -50, 500, 500], True, id="larger than the image"),
        pytest.param([0.6, 0.6, 1.6, 1.6], True, id="one pixel"),
        pytest.param([19, 9, 25, 15], True, id="the last pixel"),
        pytest.param([2, 1, 2.9, 7], False, id="less than a pixel wide"),
        pytest.param([19.5, 1, 25, 7], False, id="less than a pixel of it inside"),
        pytest.param([6, 1, 2, 7], False, id="right before left"),
        pytest.param([2, 7, 6, 1], False, id="bottom before top"),
        pytest.param([2, 2, 2, 2], False, id="a point"),
        pytest.param([30, 1, 40, 7], False, id="beside the image"),
        pytest.param([-30, 1, -20, 7], False, id="beside the image, negative"),
        pytest.param([2, 1, NAN, 7], False, id="not a number"),
        pytest.param([NAN] * 4, False, id="nothing but that"),
        pytest.param([2, 1, INF, 7], False, id="without end"),
        pytest.param([-INF, -INF, INF, INF], False, id="without any end"),
    ],
)
def test_which_boxes_are_valid(box: list[float], valid: bool) -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    crops, mask = crop_boxes(image, np.array([box], np.float32), (8, 4))
    assert mask.tolist() == [valid]
    assert crops.shape == (int(valid), 3, 8, 4)
    assert crops.dtype == np.uint8


def test_no_boxes() -> None:
    crops, mask = crop_boxes(np.zeros((10, 20, 3), np.uint8), np.zeros((0, 4), np.float32), (8, 4))
    assert crops.shape == (0, 3, 8, 4)
    assert mask.shape == (0,)


def test_order_pixels_and_colours() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, :2] = (250, 20, 3)  # blue, green, red
    image[:, 2:4] = 77
    image[:, 4:] = 150
    boxes = np.array([[4, 0, 9, 4], [3, 3, 3, 3], [0, 0, 2, 4], [1.6, 0.4, 4.4, 3.6]], np.float32)
    crops, mask = crop_boxes(image, boxes, (2, 2))
    assert mask.tolist() == [True, False, True, True]
    assert (crops[0] == 150).all()
    assert crops[1, :, 0, 0].tolist() == [3, 20, 250]  # red, green, blue
    assert (crops[2] == 77).all()  # borders go to the nearest pixel: columns 2 and 3


def test_read_only_and_mirrored_images_are_taken() -> None:
    image = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    image.flags.writeable = False
    whole = np.array([[0, 0, 20, 10]], np.float32)
    crops, _ = crop_boxes(image, whole, (10, 20))
    assert np.array_equal(crops[0].transpose(1, 2, 0), image[:, :, ::-1])
    mirrored, _ = crop_boxes(image[:, ::-1], whole, (10, 20))
    assert np.array_equal(mirrored[0].transpose(1, 2, 0), image[:, ::-1, ::-1])


@pytest.mark.parametrize("box", [[10, 10, 110, 290], [5, 5, 37, 80], [0, 0, 200, 300], [50, 50, 114, 178]])
def test_resize_is_that_of_pil(box: list[int]) -> None:
    """Larger, smaller and non-proportional crops of noise, the hardest picture to resize alike."""
    image = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    crops, _ = crop_boxes(image, np.array([box], np.float32), (128, 64))
    left, top, right, bottom = box
    pil = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right, ::-1]))
    expected = np.asarray(pil.resize((64, 128), Image.Resampling.BILINEAR)).astype(int)
    difference = crops[0].transpose(1, 2, 0) - expected
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.02  # rounded up as often as down


def test_normalise() -> None:
    crops = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    found = normalise(crops, (0.5, 0.5, 0.5), (0.5, 0.25, 0.5), torch.float32)
    torch.testing.assert_close(found.flatten(), torch.tensor([-1.0, -1.2, 1.0]))
    assert normalise(crops, (0.5,) * 3, (0.5,) * 3, torch.float16).dtype == torch.float16
