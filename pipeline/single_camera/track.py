"""The state of one track in one camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import exp

import numpy as np

from pipeline.core.datatypes import FloatArray
from pipeline.core.vectors import unit
from pipeline.single_camera.stillness import Stillness

# Weight of the past in the running mean embedding. Embeddings come about once a second, so the mean follows in seconds.
_APPEARANCE_MOMENTUM = 0.7
# Time after which a box counts 1/e in the mean confidence.
_CONFIDENCE_MEMORY_S = 1.0


class TrackState(Enum):
    """The states of a track: TENTATIVE -> CONFIRMED <-> LOST -> ENDED, or TENTATIVE -> ENDED.

    TENTATIVE: started by a confident box that matched no track; ends at its first missed frame.
    CONFIRMED: two or more boxes over `confirm_after_s`; seen in the last frame.
    LOST: confirmed, but not seen in the last frame; ends when unseen for `max_lost_s`.
    ENDED: gives no more boxes; its id is never used again.
    """

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True)
class Observation:
    """One observed box of a track: frame_index from 0, time on the run's clock, xyxy in px."""

    frame_index: int
    time_s: float
    xyxy: FloatArray
    confidence: float


@dataclass(eq=False)
class Track:
    """A track inside the tracker, which also keeps the Kalman states of all its tracks.

    Attributes:
        track_id: from 1, given when the track is confirmed; 0 before.
        first_s, last_s: time of the first and the last observed box.
        embedded_s: time of its last embedding; -inf before the first.
        partial_s: time of its last embedding of a partial crop; -inf before the first.
        appearance: (D,) running mean of its embeddings, L2-normalised; None before the first.
        good_crops: number of embeddings of good crops so far.
        hidden: since the last embedding of a good crop, a box was not a good crop, for example covered by others.
            Another person may have taken its place by now.
        suspected: after it was hidden, a good crop looked like another person; the next good crop decides.
        doubted: another person was detected in its place. Overlap alone matches no box to the track until its
            appearance has matched again.
        stillness: whether it has ever moved.
        shown_confidence: mean confidence of its newest uncovered boxes; None before the first.
        shown_s: time of the newest of these.
        unconfirmed: the boxes before confirmation, returned when the track is confirmed.
    """

    class_id: int
    first_s: float
    last_s: float
    state: TrackState = TrackState.TENTATIVE
    track_id: int = 0
    observations: int = 1
    embedded_s: float = -np.inf
    partial_s: float = -np.inf
    appearance: FloatArray | None = None
    good_crops: int = 0
    hidden: bool = False
    suspected: bool = False
    doubted: bool = False
    shown_confidence: float | None = None
    shown_s: float = -np.inf
    stillness: Stillness = field(default_factory=Stillness)
    unconfirmed: list[Observation] = field(default_factory=list)

    def blend_confidence(self, confidence: float, time_s: float) -> None:
        """Move the mean confidence towards that of a new uncovered box."""
        if self.shown_confidence is None:
            self.shown_confidence = confidence
        else:
            share = 1 - exp(-(time_s - self.shown_s) / _CONFIDENCE_MEMORY_S)
            self.shown_confidence += share * (confidence - self.shown_confidence)
        self.shown_s = time_s

    def appearance_distance(self, embedding: FloatArray) -> float:
        """Return the cosine distance of the running mean embedding from an embedding (D,); 0 before the first."""
        return 0.0 if self.appearance is None else 1 - float(self.appearance @ embedding)

    def blend_appearance(self, embedding: FloatArray, time_s: float) -> None:
        """Move the running mean embedding towards a new embedding (D,)."""
        self.embedded_s = time_s
        if self.appearance is None:
            # A view of a larger array would keep the whole array in memory.
            self.appearance = embedding.copy()
            return
        blended = _APPEARANCE_MOMENTUM * self.appearance + (1 - _APPEARANCE_MOMENTUM) * embedding
        if blended.any():
            self.appearance = unit(blended)
