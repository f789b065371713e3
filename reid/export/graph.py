"""The computation of a TransReID as a graph with a dynamic batch, from which all formats are written."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from reid.checkpoints import LoadedModel
from reid.model_header import ModelHeader

#: Crops at once, at most; the graph itself has no such limit.
MAX_BATCH = 4096


class _Graph(nn.Module):
    """float32 images and indices to float32 features, computed in `dtype`."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, images: Tensor, cameras: Tensor | None = None, views: Tensor | None = None) -> Tensor:
        features: Tensor = self.model(images.to(self.dtype), cameras, views)
        return features.float()


def exported_program(loaded: LoadedModel, dtype: torch.dtype = torch.float32) -> torch.export.ExportedProgram:
    """The graph of a model.

    Inputs: images (B, 3, H, W) float32, normalised; cameras and views (B,) int64, -1 for unknown, those of the two
    that `ModelHeader.index_inputs` names. Output: features (B, D) float32, not L2-normalised.
    """
    header = ModelHeader.of(loaded)
    model = copy.deepcopy(loaded.model).eval().to(dtype)
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    arguments: dict[str, Any] = {"images": torch.zeros(2, 3, *header.image_size)}
    arguments |= {name: torch.zeros(2, dtype=torch.int64) for name in header.index_inputs}
    with torch.no_grad():
        return torch.export.export(
            _Graph(model, dtype),
            (),
            kwargs=arguments,
            dynamic_shapes={name: {0: batch} for name in arguments},
            strict=False,
        )
