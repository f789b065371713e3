"""The protocols of a detector and an embedder: whatever fulfils them can take part in a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.datatypes import Detections, EmbeddedCrops, FloatArray, Frame
from pipeline.core.inference_runtime import Computation


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


@dataclass(frozen=True)
class Models:
    """The models of a run.

    Attributes:
        embedder: None links by floor positions alone.
        versions: of the packages, for the note of the run.
        replayed_hash: of the model whose saved embeddings are replayed; '' if none are.
    """

    detector: Detector
    embedder: Embedder | None
    versions: Mapping[str, str]
    replayed_hash: str = ""

    @property
    def embedder_hash(self) -> str:
        """Of the one model that all embeddings of the run are of; '' without any."""
        return self.replayed_hash if self.embedder is None else self.embedder.model_hash

    @property
    def computed_by(self) -> dict[str, Computation]:
        """What computes each model; without those for which nothing is computed."""
        found = {
            "detector": self.detector.computation,
            "embedder": None if self.embedder is None else self.embedder.computation,
        }
        return {model: computation for model, computation in found.items() if computation is not None}
