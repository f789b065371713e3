"""A detector and an embedder without a network: functions supply the boxes and the vectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from pipeline.core.datatypes import Detections, EmbeddedCrops, FloatArray, Frame
from pipeline.core.inference_runtime import Computation
from pipeline.core.models import PEOPLE


class FakeDetector:
    """Returns the boxes that a function gives for a frame, so that the whole pipeline runs without a model."""

    model_hash = "fake"
    computation: Computation | None = None

    def __init__(
        self, boxes_of: Callable[[Frame], Detections], class_names: Mapping[int, str] | None = None
    ) -> None:
        self._boxes_of = boxes_of
        self.class_names = dict(class_names or {0: "person"})

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._boxes_of(frame) for frame in frames]


class FakeEmbedder:
    """Returns the vectors that a function gives for a frame and its boxes (N, 4) -> (N, D), L2-normalised.

    A vector that is zero or not finite is reported as a rejected crop.
    """

    model_hash = "fake"
    computation: Computation | None = None
    classes: Collection[str] = PEOPLE

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
