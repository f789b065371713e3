"""The vision transformer backbone of TransReID: overlapping patches, pre-norm blocks, a class token.

Module names follow timm's VisionTransformer, so that its state dicts and the official TransReID ones fit.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from timm.layers.drop import DropPath
from timm.layers.mlp import Mlp
from torch import Tensor, nn
from torch.nn import functional

from reid.models.config import TransReIDConfig
from reid.models.omni_scale import OmniScaleStem
from reid.models.position_embedding import sincos_position_embedding
from reid.models.sie import side_information

LAYER_NORM_EPS = 1e-6  # as in timm's vision transformers; all released weights were trained with it


class PatchEmbed(nn.Module):
    """Maps images (B, 3, H, W) to patch tokens (B, N, D), row by row; patches may overlap."""

    def __init__(self, patch: int, stride: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=stride)
        nn.init.normal_(self.proj.weight, std=math.sqrt(2.0 / (patch * patch * width)))
        nn.init.zeros_(cast(Tensor, self.proj.bias))

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.proj(images)
        return tokens.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over tokens (B, T, D)."""

    def __init__(self, width: int, heads: int, *, qkv_bias: bool, scale: float | None) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length, width = tokens.shape
        qkv: Tensor = self.qkv(tokens).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, T, D / heads) each
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """One pre-norm transformer block over tokens (B, T, D)."""

    def __init__(self, config: TransReIDConfig, drop_path: float) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = Attention(width, config.heads, qkv_bias=config.qkv_bias, scale=config.attention_scale)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * config.mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        tokens = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return tokens


class VisionTransformer(nn.Module):
    """Maps images and side information to tokens.

    With the jigsaw, the last block and the final norm are in the model's two branches `b1` and `b2`, not in the
    backbone.
    """

    pos_embed: Tensor

    def __init__(self, config: TransReIDConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed: PatchEmbed | OmniScaleStem
        if config.stem == "omni_scale":
            self.patch_embed = OmniScaleStem(
                config.stem_channels, config.stem_gate_groups, config.grid_hw, config.width
            )
        else:
            self.patch_embed = PatchEmbed(config.patch, config.stride, config.width)
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        if config.position_embedding == "learned":
            self.pos_embed = nn.Parameter(torch.empty(1, 1 + config.tokens, config.width))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        else:
            self.register_constants()
        if config.sie_rows:
            self.sie_embed = nn.Parameter(torch.empty(config.sie_rows, 1, config.width))
            nn.init.trunc_normal_(self.sie_embed, std=0.02)
        depth = config.depth - 1 if config.jpm else config.depth
        self.blocks = nn.ModuleList(Block(config, drop_path_rate(config, index)) for index in range(depth))
        self.norm = nn.Identity() if config.jpm else nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def register_constants(self) -> None:
        """Set the buffers that depend only on the configuration and are not in state dicts."""
        if self.config.position_embedding == "sincos":
            fixed = sincos_position_embedding(self.config.grid_hw, self.config.width)
            self.register_buffer("pos_embed", fixed, persistent=False)

    def forward(self, images: Tensor, cameras: Tensor | None = None, views: Tensor | None = None) -> Tensor:
        """Return tokens (B, 1 + N, D) of images (B, 3, H, W), class token first; raises as `TransReID.forward` does."""
        size = tuple(images.shape[-2:])
        if size != self.config.image_size:
            raise ValueError(f"the model takes images of (height, width) {self.config.image_size}, not {size}")
        batch = images.shape[0]
        class_token = self.cls_token.expand(batch, -1, -1)
        if isinstance(self.patch_embed, OmniScaleStem):
            patches, descriptor = self.patch_embed(images)
            class_token = class_token + descriptor
        else:
            patches = self.patch_embed(images)
        tokens = torch.cat([class_token, patches], dim=1) + self.pos_embed
        if self.config.sie_rows:
            tokens = tokens + self.config.sie_coefficient * side_information(
                self.sie_embed,
                cameras,
                views,
                camera_count=self.config.cameras,
                view_count=self.config.views,
                batch=batch,
            )
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed


def drop_path_rate(config: TransReIDConfig, index: int) -> float:
    """Return the stochastic depth rate of block `index` (from 0): linear from 0 to `config.drop_path` at the last."""
    return config.drop_path * index / max(config.depth - 1, 1)
