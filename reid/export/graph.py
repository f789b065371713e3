"""Export a TransReID to a graph with a dynamic batch size, from which all formats are written."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from reid.checkpoints import LoadedModel
from reid.model_header import ModelHeader

#: Largest batch size that is declared; the graph itself has no limit.
MAX_BATCH = 4096


class _Graph(nn.Module):
    """Maps float32 images and indices to float32 features, computing in `dtype`."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, images: Tensor, cameras: Tensor | None = None, views: Tensor | None = None) -> Tensor:
        features: Tensor = self.model(images.to(self.dtype), cameras, views)
        return features.float()


def exported_program(loaded: LoadedModel, dtype: torch.dtype = torch.float32) -> torch.export.ExportedProgram:
    """Return the graph of a model.

    Inputs: images (B, 3, H, W) float32, normalised; then cameras and views (B,) int64, -1 for unknown, if
    `ModelHeader.index_inputs` names them. Output: features (B, D) float32, not L2-normalised.
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
