"""Attention maps of models whose attention is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reid.evaluation.attention_map import attention_maps, draw_attention, overlay, pixel_map
from reid.models.transreid import TransReID, TransReIDConfig
from reid.models.vit import Attention


def tiny(**change: Any) -> TransReID:
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "width": 16,
        "depth": 3,
        "heads": 2,
        "image_size": (32, 16),
        "stride": 12,
        "patch": 8,
    }
    return TransReID(TransReIDConfig(**options | change)).eval()


def look_alike(model: TransReID) -> None:
    """Every token attends to every other alike."""
    for module in model.modules():
        if isinstance(module, Attention):
            module.qkv.weight.data.zero_()
            module.qkv.bias.data.zero_()


@pytest.mark.parametrize("jigsaw", [False, True])
def test_uniform_attention_gives_uniform_maps(jigsaw: bool) -> None:
    model = tiny(jpm=jigsaw, shift=1, parts=1, stride=4)
    look_alike(model)
    maps = attention_maps(model, torch.randn(2, 3, 32, 16), torch.tensor([-1, -1]))
    rows, columns = model.config.grid_hw
    for found in (maps.rollout, maps.last_block):
        assert found.shape == (2, rows, columns)
        np.testing.assert_allclose(found, 1 / (rows * columns), rtol=1e-5)


@pytest.mark.parametrize("jigsaw", [False, True])
def test_equals_the_definition(jigsaw: bool) -> None:
    """Rollout word by word, with the attention of the forward pass taken from its probabilities."""
    model = tiny(jpm=jigsaw, shift=1, parts=1, stride=4, cameras=2)
    images, cameras = torch.randn(1, 3, 32, 16), torch.tensor([1])
    blocks = [*model.base.blocks, *([model.b1[0]] if jigsaw else [])]
    tokens: list[torch.Tensor] = []
    hooks = [block.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0])) for block in blocks]
    with torch.inference_mode():
        model(images, cameras)
        for hook in hooks:
            hook.remove()
        length = tokens[0].shape[1]
        product = np.eye(length)
        for block, entering in zip(blocks, tokens, strict=True):
            assert isinstance(block.attn, Attention)
            query, key, _ = block.attn.qkv(block.norm1(entering))[0].split(16, dim=1)
            heads = [
                torch.softmax(query[:, h : h + 8] @ key[:, h : h + 8].T / 8**0.5, dim=1).numpy() for h in (0, 8)
            ]
            attention = np.mean(heads, axis=0)
            mixed = 0.5 * attention + 0.5 * np.eye(length)
            product = mixed / mixed.sum(axis=1, keepdims=True) @ product
    maps = attention_maps(model, images, cameras)
    for found, expected in ((maps.rollout, product), (maps.last_block, attention)):
        share = expected[0, 1:] / expected[0, 1:].sum()
        np.testing.assert_allclose(found[0].ravel(), share, rtol=1e-4)


def test_a_model_can_be_used_as_before() -> None:
    model, images = tiny(), torch.randn(1, 3, 32, 16)
    with torch.inference_mode():
        before = model(images)
        attention_maps(model, images, torch.tensor([-1]))
        torch.testing.assert_close(model(images), before)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_pixels_get_the_value_of_the_patch_whose_centre_they_are() -> None:
    # patches of 8 at every 4 pixels of 16 x 12: centres at 4, 8, 12 and 4, 8
    values = np.array([[0.0, 1.0], [4.0, 5.0], [8.0, 9.0]], np.float32)
    pixels = pixel_map(values, (16, 12), patch=8, stride=4)
    assert pixels.shape == (16, 12)
    # around a centre, the pixels' own centres are 0.5 / 4 of a step away from it; columns end at the outer one
    assert pixels[7:9, 7:9].mean() == pytest.approx(4 * 1 + (0.875 + 1) / 2)
    assert pixels[7, 5] == pytest.approx(4 * 0.875 + 0.375)
    assert pixels[0, 0] == 0.0  # beyond the outer centres the map goes on as it is
    assert pixels[15, 11] == 9.0
    assert (np.diff(pixels, axis=0) >= 0).all()


def test_overlay_is_blue_where_little_and_red_where_most_is_seen() -> None:
    heat = np.zeros((8, 4), np.float32)
    heat[6, 2] = 3.0
    picture = np.asarray(overlay(Image.new("RGB", (4, 8), (128, 128, 128)), heat)).astype(int)
    red, _, blue = picture[6, 2]
    assert red > blue
    red, _, blue = picture[0, 0]
    assert blue > red
    flat = np.asarray(overlay(Image.new("RGB", (4, 8)), np.ones((8, 4), np.float32)))
    assert (flat == flat[0, 0]).all()


def test_the_picture_has_a_column_a_crop_and_three_rows() -> None:
    model = tiny()
    images = [Image.new("RGB", (20, 60), (200, 0, 0)), Image.new("RGB", (30, 50), (0, 200, 0))]
    sheet = np.asarray(
        draw_attention(model, images, attention_maps(model, torch.randn(2, 3, 32, 16), torch.tensor([-1, -1])))
    )
    coloured = (sheet != 255).any(axis=2)
    assert coloured[:, 80].sum() == 3 * 192  # pixels of the first column that are no gap
    red, green = sheet[100, 64 + 48].tolist()[:2], sheet[100, 64 + 102 + 48].tolist()[:2]
    assert (red, green) == ([200, 0], [0, 200])
