"""Frames in the input of a network, and boxes back in the frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.letterbox import Letterbox, network_input, scale_back
from detectors.ultralytics_import import import_ultralytics


@pytest.mark.parametrize(
    ("frame_hw", "minimal", "expected"),
    [
        # 1280x720 at 640: halved to 640x360, and 24 of 32 rows more make a multiple of 32.
        ((720, 1280), True, ((640, 360), 12, 12, 0, 0)),
        ((720, 1280), False, ((640, 360), 140, 140, 0, 0)),
        ((1280, 721), True, ((360, 640), 0, 0, 12, 12)),
        ((640, 335), True, ((335, 640), 0, 0, 8, 9)),  # the odd column goes to the right
    ],
)
def test_by_hand(frame_hw: tuple[int, int], minimal: bool, expected: tuple[object, ...]) -> None:
    box = Letterbox.of(frame_hw, (640, 640), stride=32, minimal=minimal)
    assert tuple(box) == expected


def test_pixels_and_padding_by_hand() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[..., 0], image[..., 2] = 51, 255  # blue and red
    pixels = network_input([image], Letterbox.of((2, 4), (4, 4), stride=32, minimal=False))
    assert pixels.shape == (1, 3, 4, 4)
    np.testing.assert_allclose(pixels[0, :, 1, 0], [1, 0, 0.2])
    np.testing.assert_allclose(pixels[0, :, 0, 0], 114 / 255)


def test_boxes_by_hand() -> None:
    boxes = np.array([[320, 12, 640, 372], [-10, 0, 700, 400]], np.float32)
    found = scale_back(boxes, (384, 640), (720, 1280))
    assert found.tolist() == [[640, 0, 1280, 720], [0, 0, 1280, 720]]
    assert boxes[0].tolist() == [320, 12, 640, 372], "the argument stays"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.booleans(), st.sampled_from([(64, 64), (96, 64), (128, 128)]))
def test_both_are_those_of_ultralytics(height: int, width: int, minimal: bool, size_hw: tuple[int, int]) -> None:
    import_ultralytics()
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.ops import scale_boxes

    rng = np.random.default_rng(height * 1000 + width)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    box = Letterbox.of((height, width), size_hw, stride=32, minimal=minimal)
    expected = LetterBox(size_hw, auto=minimal, stride=32)(image=image)
    pixels = network_input([image, image], box)[1]
    reference = torch.from_numpy(np.ascontiguousarray(expected[..., ::-1].transpose(2, 0, 1))).float().div_(255)
    np.testing.assert_array_equal(pixels, reference.numpy())
    boxes = rng.uniform(-20, 150, (7, 4)).astype(np.float32)
    there = scale_boxes(box.input_hw, torch.from_numpy(boxes.copy()), (height, width)).numpy()
    np.testing.assert_array_equal(scale_back(boxes, box.input_hw, (height, width)), there)
