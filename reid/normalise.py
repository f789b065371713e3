"""Normalisation of crops in torch, for training and for models in torch; `reid.crops.normalised` does it in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def normalise(crops: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype) -> Tensor:
    """Convert crops (K, 3, H, W) uint8 RGB to the input of a model: (value / 255 - mean) / std per channel."""
    mean_value, std_value = (crops.new_tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in (mean, std))
    return ((crops.float() / 255 - mean_value) / std_value).to(dtype)
