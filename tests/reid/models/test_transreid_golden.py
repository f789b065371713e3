"""The model against values that the authors' program returned for weights filled by a rule."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reid.models.transreid import ARCHITECTURES, TransReID

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "transreid_golden.json").read_text())
TOLERANCE = 1e-7  # a shift that is off by one moves these values by 2e-5 only

#: architecture, stride, jigsaw, its shift, and which of the two images to run: one of a large model takes seconds
CASES = {
    "vit_b_s16_base": ("vit_base", 16, False, 5, [1]),
    "deit_s_s16_base": ("deit_small", 16, False, 5, [0]),
    "vit_small_8x768_s16_base": ("vit_small_8x768", 16, False, 5, [0]),
    "vit_b_s16_sie6": ("vit_base", 16, False, 5, [1]),
    "vit_b_s16_sie6_jpm": ("vit_base", 16, True, 5, [0]),
    "vit_b_s12_sie6_jpm": ("vit_base", 12, True, 5, [1]),
    "vit_b_s11_sie8_jpm": ("vit_base", 11, True, 5, [1]),
    "vit_b_veri_s12_sie20x8_jpm_shift8": ("vit_base", 12, True, 8, [1]),
}


def wave(count: int, step: float) -> Tensor:
    return torch.sin(step * torch.arange(count, dtype=torch.float64))


class Filler:
    """Fills a state dict by the rule; tensors that several cases share are made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, torch.Size], Tensor] = {}
        angles = 0.37 * torch.arange(4 * 768 * 768, dtype=torch.float64)  # of the largest tensor of the models
        self._sin, self._cos = angles.sin(), angles.cos()

    def __call__(self, key: str, like: Tensor) -> Tensor:
        if not like.is_floating_point():
            return torch.zeros_like(like)
        if (key, like.shape) not in self._made:
            n, phase = like.numel(), zlib.crc32(key.encode()) % 1000
            # sin(angle + phase) from sines that are computed once, as 90 million of them take seconds
            t = (0.02 * math.cos(phase)) * self._sin[:n] + (0.02 * math.sin(phase)) * self._cos[:n]
            t = t.reshape(like.shape)
            if key.endswith("running_var"):
                t = 1 + t.abs()
            elif t.ndim == 1 and key.endswith("weight"):
                t = 1 + t
            self._made[key, like.shape] = t
        return self._made[key, like.shape]


@pytest.fixture(scope="module")
def fill(one_thread: int) -> Iterator[Filler]:
    torch.set_num_threads(one_thread)
    yield Filler()
    torch.set_num_threads(1)


def test_every_golden_case_is_run() -> None:
    assert CASES.keys() == GOLDEN.keys() - {"triplet"}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, fill: Filler) -> None:
    architecture, stride, jpm, shift, samples = CASES[name]
    golden = GOLDEN[name]
    height, width = golden["size"]
    config = replace(
        ARCHITECTURES[architecture],
        image_size=(height, width),
        stride=stride,
        cameras=golden["cameras"],
        views=golden["views"],
        jpm=jpm,
        shift=shift,
    )
    model = TransReID.uninitialised(config).eval()
    model.load_state_dict({key: fill(key, value) for key, value in model.state_dict().items()}, assign=True)
    images = wave(2 * 3 * height * width, 0.001).reshape(2, 3, height, width)[samples]
    cameras, views = (golden[k] and torch.tensor(golden[k])[samples] for k in ("cam", "view"))

    with torch.inference_mode():
        features = model.features(images, cameras, views)
        for neck in ("before", "after"):
            model.neck_feature = neck
            feature = model.inference_feature(features).numpy()
            expected = {key: np.array(values)[samples] for key, values in golden[neck].items()}
            assert feature.shape == (len(samples), golden["feat_dim"])
            np.testing.assert_allclose(feature.sum(1), expected["sum"], rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(np.linalg.norm(feature, axis=1), expected["l2"], rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(feature[:, :4], expected["first4"], rtol=0, atol=TOLERANCE)
            if "local_first2" in expected:  # (B, 4, 2), as they stand in the inference feature
                local = feature[:, config.width :].reshape(len(samples), 4, -1)[:, :, :2]
                np.testing.assert_allclose(local, expected["local_first2"], rtol=0, atol=TOLERANCE)
