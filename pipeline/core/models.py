"""The protocols of a detector and an embedder: whatever fulfils them can take part in a run.

A class that names a protocol as its base inherits what it does not say itself; one that does not has to have it all.
"""

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
        """Names of the class ids that `detect` can return; {0: "person"} unless a class says otherwise."""
        return {0: "person"}

    @property
    def model_hash(self) -> str:
        """Identifies the weights (or the file of saved detections) in run.json; the name of the class by default."""
        return _class_name(self)

    @property
    def computation(self) -> Computation | None:
        """What computes it; None where nothing is computed, as with saved detections, or nothing is known."""
        return None

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame, in the order of `frames`; boxes in pixels of the full image."""
        ...


class Embedder(Protocol):
    """Turns boxes into appearance vectors; one call is one batch over all cameras."""

    @property
    def dim(self) -> int:
        """D, the length of an embedding."""
        ...

    @property
    def model_hash(self) -> str:
        """Identifies the weights: embeddings of different hashes must never be compared. The name of the class by
        default."""
        return _class_name(self)

    @property
    def computation(self) -> Computation | None:
        """What computes it; None where no network is, or nothing is known."""
        return None

    @property
    def rejected_crops(self) -> int:
        """Boxes so far that gave no embedding, because they are empty or outside the image."""
        return 0

    @property
    def unknown_cameras(self) -> Mapping[str, str]:
        """Cameras that the model's camera table does not know, and what they get instead."""
        return {}

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[FloatArray]) -> list[EmbeddedCrops]:
        """Embed the boxes `xyxy[i]` (N_i, 4), in pixels of `frames[i]`; one result per frame, same order."""
        ...


def _class_name(model: object) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


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
