"""The protocols of a detector and an embedder: any class that implements them can be used in a run.

A class that derives from a protocol inherits the defaults; any other class must define every member.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipeline.core.datatypes import Detections, EmbeddedCrops, FloatArray, Frame
from pipeline.core.inference_runtime import Computation

# The classes of an embedder that names none: what data sets and detectors call people.
PEOPLE = ("person", "people", "pedestrian", "human", "man", "woman", "child")

if TYPE_CHECKING:
    _default = property
else:

    class _default:
        """A property that a class or an object may replace by setting the attribute."""

        def __init__(self, function: Any) -> None:
            self._function = function
            self.__doc__ = function.__doc__

        def __get__(self, instance: Any, owner: type) -> Any:
            return self if instance is None else self._function(instance)


class Detector(Protocol):
    """Detects objects in frames of any camera and size; one call is one batch.

    `track` calls `detect` in a thread of its own, ahead of tracking.
    """

    @_default
    def class_names(self) -> Mapping[int, str]:
        """Names of the class ids that `detect` can return; {0: "person"} by default."""
        return {0: "person"}

    @_default
    def model_hash(self) -> str:
        """Identifies the weights (or the file of saved detections) in run.json; the name of the class by default."""
        return _class_name(self)

    @_default
    def computation(self) -> Computation | None:
        """What runs the network; None if no network runs, as with saved detections, or it is not known."""
        return None

    @abstractmethod
    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one `Detections` per frame, in the order of `frames`; boxes in pixels of the full image."""
        ...


class Embedder(Protocol):
    """Computes the embeddings of boxes; one call is one batch over all cameras.

    `embed` is called in the thread that called `track`.
    """

    @_default
    def dim(self) -> int:
        """D, the length of an embedding."""
        raise AttributeError(f"{_class_name(self)} has no dim: set it to the length of an embedding")

    @_default
    def model_hash(self) -> str:
        """Identifies the weights; embeddings with different hashes must never be compared. By default the name of the
        class; a class that can load different weights must return a different text for each."""
        return _class_name(self)

    @_default
    def computation(self) -> Computation | None:
        """What runs the network; None if there is no network or it is not known."""
        return None

    @_default
    def rejected_crops(self) -> int:
        """Number of boxes so far that got no embedding because they are empty or outside the image."""
        return 0

    @_default
    def unknown_cameras(self) -> Mapping[str, str]:
        """Cameras without a row in the model's camera table -> text that says what is used instead."""
        return {}

    @_default
    def classes(self) -> Collection[str]:
        """Names of the classes whose objects it can tell apart; those of people by default. Capitals do not matter.
        Boxes of other classes get no embedding."""
        return PEOPLE

    @abstractmethod
    def embed(self, frames: Sequence[Frame], xyxy: Sequence[FloatArray]) -> list[EmbeddedCrops]:
        """Embed the boxes `xyxy[i]` (N_i, 4) float32, in pixels of `frames[i]`; one result per frame, same order."""
        ...


def checked_detections(detector: Detector, frames: Sequence[Frame]) -> list[Detections]:
    """Return the detections of `detector` in `frames`, after a check.

    Raises:
        ValueError: the detector returned more or fewer results than frames, or a class id that is not in its
            `class_names`. In the second case the message names camera and frame.
    """
    found = detector.detect(frames)
    if len(found) != len(frames):
        raise ValueError(f"the detector returned {len(found)} results for {len(frames)} frames")
    for frame, detections in zip(frames, found, strict=True):
        unknown = set(detections.class_id.tolist()) - detector.class_names.keys()
        if unknown:
            raise ValueError(
                f"the detector returned the class id {min(unknown)} for frame index {frame.frame_index} of camera "
                f"{frame.camera_id}, but its class_names are {dict(detector.class_names)}"
            )
    return found


def checked(crops: Sequence[EmbeddedCrops], frames: Sequence[Frame]) -> Sequence[EmbeddedCrops]:
    """Return `crops`, which an embedder returned for `frames`, after a check.

    Raises:
        ValueError: there are more or fewer results than frames, or the vector of a valid crop is not finite or not of
            length 1. In the second case the message names camera and frame.
    """
    if len(crops) != len(frames):
        raise ValueError(f"the embedder returned {len(crops)} results for {len(frames)} frames")
    for frame, crop in zip(frames, crops, strict=True):
        lengths = np.linalg.norm(crop.embeddings[crop.valid], axis=1)
        if not (np.abs(lengths - 1) < _LENGTH_ERROR).all():
            worst = lengths[np.argmax(~(np.abs(lengths - 1) < _LENGTH_ERROR))]
            raise ValueError(
                f"the embedder returned a vector of length {worst:.3g} for frame index {frame.frame_index} of camera "
                f"{frame.camera_id}; valid embeddings have length 1"
            )
    return crops


def named_in(class_names: Iterable[str], classes: Collection[str]) -> frozenset[str]:
    """Return those of `class_names` that are among `classes`, whatever their capitals."""
    known = {name.casefold() for name in classes}
    return frozenset(name for name in class_names if name.casefold() in known)


def embedded_classes(embedder: Embedder) -> frozenset[str]:
    """Return the names of the classes that `embedder` is for; an embedder that names none is for people.

    Raises:
        ValueError: its `classes` are a text instead of a list of texts.
    """
    classes = getattr(embedder, "classes", PEOPLE)
    if isinstance(classes, str):
        raise ValueError(f"the embedder's classes must be a list of names, but are the text {classes!r}")
    return frozenset(classes)


# Half precision changes lengths by .001.
_LENGTH_ERROR = 0.01


def _class_name(model: object) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


@dataclass(frozen=True)
class Models:
    """The models of a run.

    Attributes:
        embedder: None if no embeddings are computed; cameras are then linked by saved embeddings, if there are any, and
            by floor positions.
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
