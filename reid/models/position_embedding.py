"""Position embeddings: resizing of learned ones to another grid of patches, and the fixed sine-cosine embedding."""

from __future__ import annotations

import torch
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from torch import Tensor
from torch.nn import functional


def resize_position_embedding(
    position_embedding: Tensor, old_grid_hw: tuple[int, int], new_grid_hw: tuple[int, int]
) -> Tensor:
    """Resize the patch part of a learned position embedding bilinearly; the class token's row stays.

    Args:
        position_embedding: (1, 1 + rows * columns, D), class token first, then the patches row by row.
        old_grid_hw: (rows, columns) of the training.
        new_grid_hw: (rows, columns) to resize to.

    Returns:
        (1, 1 + new rows * new columns, D), of the same dtype.
    """
    if old_grid_hw == new_grid_hw:
        return position_embedding
    class_row, patches = position_embedding[:, :1], position_embedding[:, 1:]
    rows, columns = old_grid_hw
    # half precision interpolation is not available on some devices and inaccurate on others
    dtype = patches.dtype if patches.dtype == torch.float64 else torch.float32
    image = patches.to(dtype).reshape(1, rows, columns, -1).permute(0, 3, 1, 2)
    resized = functional.interpolate(image, size=new_grid_hw, mode="bilinear", align_corners=False)
    patches = resized.flatten(2).transpose(1, 2).to(position_embedding.dtype)
    return torch.cat([class_row, patches], dim=1)


def sincos_position_embedding(grid_hw: tuple[int, int], width: int) -> Tensor:
    """Return the fixed sine-cosine embedding (1, 1 + rows * columns, width) of a grid, zero for the class token.

    Source: Chen et al., "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021.
    """
    patches: Tensor = build_sincos2d_pos_embed(list(grid_hw), dim=width)
    return torch.cat([torch.zeros(1, 1, width), patches.unsqueeze(0)], dim=1)
