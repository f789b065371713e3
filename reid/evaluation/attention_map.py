"""Attention maps of a model: attention of the class token over the patches, as heat maps over crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reid.distances import Float32Array
from reid.evaluation.ranked_list import picture_font
from reid.models.transreid import TransReID
from reid.models.vit import Attention, Block

_HEAT = 0.55  # opacity of the heat map
_SHOWN_HEIGHT_PX, _TITLE_WIDTH_PX, _GAP_PX = 192, 64, 6


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Attention of the class token over the patches of B images; each map sums to 1.

    Attributes:
        rollout: (B, rows, columns) float32, over all blocks: Abnar and Zuidema, "Quantifying Attention Flow in
            Transformers", ACL 2020, section 3, with the mean over heads.
        last_block: (B, rows, columns) float32, of the last block only, mean over heads; with the jigsaw branch, of
            the block that computes the global feature.
    """

    rollout: Float32Array
    last_block: Float32Array


def attention_maps(
    model: TransReID, images: Tensor, cameras: Tensor, views: Tensor | None = None
) -> AttentionMaps:
    """Run the model on `images` (B, 3, H, W) (see `TransReID.forward`) and return the attention of its class token."""
    blocks: list[Block] = [module for module in model.base.blocks if isinstance(module, Block)]
    if model.config.jpm:
        blocks += [module for module in model.b1 if isinstance(module, Block)]
    weights: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(module, Attention)
        weights.append(_attention_weights(module, inputs[0]))

    hooks: list[RemovableHandle] = [block.attn.register_forward_pre_hook(keep) for block in blocks]
    try:
        model.eval()
        with torch.inference_mode():
            model(images, cameras, views)
    finally:
        for hook in hooks:
            hook.remove()
    rollout = weights[0].new_zeros(()) + torch.eye(weights[0].shape[-1], device=images.device)
    for attention in weights:
        rollout = (attention + torch.eye(attention.shape[-1], device=images.device)) / 2 @ rollout
    return AttentionMaps(*(_patch_map(tokens, model.config.grid_hw) for tokens in (rollout, weights[-1])))


def _attention_weights(module: Attention, tokens: Tensor) -> Tensor:
    """Return (B, T, T), the softmax of query times key, mean over heads; rows sum to 1."""
    batch, length, width = tokens.shape
    query, key, _ = module.qkv(tokens).reshape(batch, length, 3, module.heads, -1).permute(2, 0, 3, 1, 4)
    scale = (width / module.heads) ** -0.5 if module.scale is None else module.scale
    return torch.softmax(query.float() @ key.float().transpose(-1, -2) * scale, dim=-1).mean(dim=1)


def _patch_map(attention: Tensor, grid_hw: tuple[int, int]) -> Float32Array:
    """Return the class token's attention to the patches, (B, rows, columns), from attention (B, T, T)."""
    over_patches = attention[:, 0, 1:]
    share = over_patches / over_patches.sum(dim=1, keepdim=True)
    return share.reshape(-1, *grid_hw).cpu().numpy()


def pixel_map(patch_map: Float32Array, size_hw: tuple[int, int], *, patch: int, stride: int) -> Float32Array:
    """Interpolate a map over patches (rows, columns) to every pixel (H, W), linearly between the patch centres.

    Args:
        size_hw: size of the model's input.
        patch, stride: side of a patch and step between two patches, in pixels; patches may overlap.
    """
    positions = [(np.arange(side) + 0.5 - patch / 2) / stride for side in size_hw]
    values: Float32Array = ndimage.map_coordinates(
        patch_map, np.meshgrid(*positions, indexing="ij"), order=1, mode="nearest"
    )
    return values


def overlay(image: Image.Image, heat: Float32Array) -> Image.Image:
    """Draw the map (H, W) over the image (W x H), from blue (lowest value) to red (highest value)."""
    span = float(heat.max() - heat.min())
    level = (heat - heat.min()) / (span if span > 0 else 1.0)
    colours = Image.fromarray((matplotlib.colormaps["turbo"](level)[..., :3] * 255).astype(np.uint8))
    return Image.blend(image.convert("RGB"), colours, _HEAT)


def draw_attention(model: TransReID, images: Sequence[Image.Image], maps: AttentionMaps) -> Image.Image:
    """Draw one column per crop: the crop, its rollout, and its attention in the last block."""
    config = model.config
    height, width = config.image_size
    shown_wh = (round(_SHOWN_HEIGHT_PX * width / height), _SHOWN_HEIGHT_PX)
    step_x, step_y = (side + _GAP_PX for side in shown_wh)
    titles = ("crop", "all blocks\n(rollout)", "last block")
    sheet = Image.new("RGB", (_TITLE_WIDTH_PX + len(images) * step_x, len(titles) * step_y + _GAP_PX), "white")
    pen, font = ImageDraw.Draw(sheet), picture_font()
    for row, title in enumerate(titles):
        pen.text((_GAP_PX, row * step_y + step_y // 2), title, fill="black", font=font, anchor="lm")
    for column, image in enumerate(images):
        heats = [
            pixel_map(of_kind[column], config.image_size, patch=config.patch, stride=config.stride)
            for of_kind in (maps.rollout, maps.last_block)
        ]
        seen = image.resize((width, height), Image.Resampling.BILINEAR)
        for row, picture in enumerate((seen, *(overlay(seen, heat) for heat in heats))):
            place = (_TITLE_WIDTH_PX + column * step_x, row * step_y + _GAP_PX)
            sheet.paste(picture.resize(shown_wh, Image.Resampling.BICUBIC), place)
    return sheet
