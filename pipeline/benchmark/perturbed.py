"""Detections with small random errors, to measure how much a score depends on chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Detections, Frame
from pipeline.core.models import Detector

# About how far a detector's box moves, relative to its size, when a pixel of the picture changes.
EDGE_SIGMA = 0.01
CONFIDENCE_SIGMA = 0.01


class PerturbedDetector:
    """The boxes of another detector with random errors.

    Every edge is moved by N(0, 1 % of the box's width or height), and every confidence by N(0, 0.01). The errors depend
    only on seed, camera and frame, so every tracker gets the same errors.
    """

    def __init__(self, detector: Detector, seed: int) -> None:
        self._detector, self._seed = detector, seed
        self.class_names = detector.class_names
        self.model_hash = detector.model_hash
        self.computation = detector.computation

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        found = self._detector.detect(frames)
        return [self._perturbed(frame, detections) for frame, detections in zip(frames, found, strict=True)]

    def _perturbed(self, frame: Frame, detections: Detections) -> Detections:
        rng = np.random.default_rng([self._seed, frame.frame_index, *frame.camera_id.encode()])
        size = np.tile(detections.xyxy[:, 2:] - detections.xyxy[:, :2], 2)
        edges: NDArray[Any] = detections.xyxy + rng.normal(0, EDGE_SIGMA, size.shape) * size
        confidence = detections.confidence + rng.normal(0, CONFIDENCE_SIGMA, len(detections))
        return replace(
            detections,
            xyxy=edges.astype(np.float32),
            confidence=np.clip(confidence, 0, 1).astype(np.float32),
        )
