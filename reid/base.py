"""The embedder protocol, and a fake that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from pipeline.datatypes import EmbeddedCrops, FloatArray, Frame
from pipeline.inference_runtime import Computation


class Embedder(Protocol):
    """Turns boxes into appearance vectors; one call is one batch over all cameras."""

    @property
    def dim(self) -> int:
        """D, the length of an embedding."""

    @property
    def model_hash(self) -> str:
        """Identifies the weights: embeddings of different hashes must never be compared."""

    @property
    def computation(self) -> Computation | None:
        """What computes it; None where no network is."""

    @property
    def rejected_crops(self) -> int:
        """Boxes so far that gave no embedding, because they are empty or outside the image."""

    @property
    def unknown_cameras(self) -> Mapping[str, str]:
        """Cameras that the model's camera table does not know, and what they get instead."""

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[FloatArray]) -> list[EmbeddedCrops]:
        """Embed the boxes `xyxy[i]` (N_i, 4), in pixels of `frames[i]`; one result per frame, same order."""


class FakeEmbedder:
    """Returns the vectors that a function gives for a frame and its boxes (N, 4) -> (N, D), L2-normalised.

    A row that is zero or not finite is reported as a rejected crop.
    """

    model_hash = "fake"
    computation: Computation | None = None

    def __init__(self, vectors_of: Callable[[Frame, FloatArray], FloatArray], dim: int) -> None:
        self._vectors_of = vectors_of
        self.dim = dim
        self.rejected_crops = 0
        self.unknown_cameras: Mapping[str, str] = {}

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[FloatArray]) -> list[EmbeddedCrops]:
        results = []
        for frame, boxes in zip(frames, xyxy, strict=True):
            vectors = np.asarray(self._vectors_of(frame, boxes), np.float32).reshape(len(boxes), self.dim)
            norms = np.linalg.norm(vectors, axis=1)
            valid = np.isfinite(norms) & (norms > 0)
            unit = np.zeros_like(vectors)
            unit[valid] = vectors[valid] / norms[valid, None]
            self.rejected_crops += int((~valid).sum())
            results.append(EmbeddedCrops(embeddings=unit, valid=valid))
        return results
