"""Boxes to crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reid.antialiasing import resize_bytes
from reid.crops import crop_boxes, normalised, resize_antialiased
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


def test_normalised_is_normalise_to_the_last_bit() -> None:
    crops = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(3, axis=1)
    for mean, std in (((0.5,) * 3, (0.5,) * 3), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))):
        expected = normalise(torch.from_numpy(crops), mean, std, torch.float32).numpy()
        np.testing.assert_array_equal(normalised(crops, mean, std), expected)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 400), st.integers(1, 200), st.sampled_from([(256, 128), (64, 32), (3, 200)]), st.integers(0, 99)
)
def test_resizing_without_torch_gives_the_same_bytes(
    height: int, width: int, size_hw: tuple[int, int], seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    np.testing.assert_array_equal(
        resize_bytes(picture, size_hw).transpose(2, 0, 1), resize_antialiased(picture, size_hw)
    )


def test_resizing_by_hand() -> None:
    """Four columns to two: each is the mean of its two and of half the neighbours', (1 3 3 1) / 8 inside."""
    picture = np.array([0, 80, 160, 240], np.uint8).reshape(1, 4, 1).repeat(3, axis=2)
    # the weights 1, 3, 3, 1 of columns -1 to 2, without the one outside: (3 * 0 + 3 * 80 + 1 * 160) / 7 = 57.1
    assert resize_bytes(picture, (1, 2))[0, :, 0].tolist() == [57, 183]
