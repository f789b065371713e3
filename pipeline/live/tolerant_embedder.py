"""An embedder whose occasional failures do not end a long run."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pipeline.core.datatypes import EmbeddedCrops, FloatArray, Frame
from pipeline.core.inference_runtime import Computation
from pipeline.core.models import Embedder, checked, embedded_classes

_log = logging.getLogger(__name__)


class TolerantEmbedder:
    """Returns no embeddings for the crops of a failed batch; the tracker requests them again soon.

    Attributes:
        failures: number of failed batches so far.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.failures = 0
        self._failing = False

    @property
    def dim(self) -> int:
        return self._embedder.dim

    @property
    def model_hash(self) -> str:
        return self._embedder.model_hash

    @property
    def computation(self) -> Computation | None:
        return self._embedder.computation

    @property
    def rejected_crops(self) -> int:
        return self._embedder.rejected_crops

    @property
    def unknown_cameras(self) -> Mapping[str, str]:
        return self._embedder.unknown_cameras

    @property
    def classes(self) -> Collection[str]:
        return embedded_classes(self._embedder)

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[FloatArray]) -> list[EmbeddedCrops]:
        try:
            embedded = list(checked(self._embedder.embed(frames, xyxy), frames))
        except Exception:
            self.failures += 1
            if not self._failing:
                _log.exception("the embedder failed; these crops get no embedding")
            self._failing = True
            return [
                EmbeddedCrops(np.zeros((len(boxes), self.dim), np.float32), np.zeros(len(boxes), np.bool_))
                for boxes in xyxy
            ]
        self._failing = False
        return embedded
