"""The protocols of a detector and an embedder: any class that implements them can be used in a run.

A class that derives from a protocol inherits the defaults; any other class must define every member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.datatypes import Detections, EmbeddedCrops, FloatArray, Frame
from pipeline.core.inference_runtime import Computation


class Detector(Protocol):
    """Detects objects in frames of any camera and size; one call is one batch."""

    @property
    def class_names(self) -> Mapping[int, str]:
        """Names of the class ids that `detect` can return; {0: "person"} by default."""
        return {0: "person"}

    @property
    def model_hash(self) -> str:
        """Identifies the weights (or the file of saved detections) in run.json; the name of the class by default."""
        return _class_name(self)

    @property
    def computation(self) -> Computation | None:
        """What runs the network; None if no network runs, as with saved detections, or it is not known."""
        return None

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one `Detections` per frame, in the order of `frames`; boxes in pixels of the full image."""
        ...


class Embedder(Protocol):
    """Computes the embeddings of boxes; one call is one batch over all cameras."""

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
        """What runs the network; None if there is no network or it is not known."""
        return None

    @property
    def rejected_crops(self) -> int:
        """Number of boxes so far that got no embedding because they are empty or outside the image."""
        return 0

    @property
    def unknown_cameras(self) -> Mapping[str, str]:
        """Cameras without a row in the model's camera table, and what is used instead."""
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
        embedder: None links by floor positions only.
        versions: of the packages, for run.json.
        replayed_hash: hash of the model whose saved embeddings are replayed; '' if none are replayed.
    """

    detector: Detector
    embedder: Embedder | None
    versions: Mapping[str, str]
    replayed_hash: str = ""

    @property
    def embedder_hash(self) -> str:
        """Hash of the model that computed all embeddings of the run; '' if there are none."""
        return self.replayed_hash if self.embedder is None else self.embedder.model_hash

    @property
    def computed_by(self) -> dict[str, Computation]:
        """What runs each model; models that run no network are left out."""
        found = {
            "detector": self.detector.computation,
            "embedder": None if self.embedder is None else self.embedder.computation,
        }
        return {model: computation for model, computation in found.items() if computation is not None}
