"""The detector protocol, and a fake that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pipeline.datatypes import Detections, Frame
from pipeline.inference_runtime import Computation


class Detector(Protocol):
    """Finds objects in frames of any cameras and sizes; one call is one batch."""

    @property
    def class_names(self) -> Mapping[int, str]:
        """Names of the class ids that `detect` can return."""

    @property
    def model_hash(self) -> str:
        """Identifies the weights (or the file of saved detections) in run.json."""

    @property
    def computation(self) -> Computation | None:
        """What computes it; None where nothing is computed, as with saved detections."""

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame, in the order of `frames`; boxes in pixels of the full image."""


class FakeDetector:
    """Returns the boxes that a function gives for a frame: runs the whole pipeline without a model."""

    model_hash = "fake"
    computation: Computation | None = None

    def __init__(
        self, boxes_of: Callable[[Frame], Detections], class_names: Mapping[int, str] | None = None
    ) -> None:
        self._boxes_of = boxes_of
        self.class_names = dict(class_names or {0: "person"})

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._boxes_of(frame) for frame in frames]
