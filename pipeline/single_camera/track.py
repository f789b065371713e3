"""One person followed in one camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from pipeline.core.datatypes import FloatArray
from pipeline.core.vectors import unit

# Weight of the past in the running appearance. Embeddings come about once a second, so this forgets in seconds.
_APPEARANCE_MOMENTUM = 0.7


class TrackState(Enum):
    """A track's life: TENTATIVE -> CONFIRMED <-> LOST -> ENDED, or TENTATIVE -> ENDED.

    TENTATIVE: started by a confident box that no track claimed; ends at its first missed frame.
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
    """The live object inside the tracker, which also keeps the Kalman states of all its tracks.

    Attributes:
        track_id: from 1, given when confirmed; 0 before.
        first_s, last_s: time of the first and the last observed box.
        embedded_s: when its appearance was last taken, -inf before the first time.
        appearance: (D,) running mean of its embeddings, L2-normalised; None before the first.
        good_crops: how many embeddings of good crops it has had.
        hidden: a box that was no good crop has come since the last embedding of one: covered by others, say. Somebody
            else may be in its place by now.
        suspected: since it was hidden, a good crop looked like somebody else; another one decides.
        doubted: somebody else was found in its place. Overlap says nothing about it until it is found by its look.
        unconfirmed: the boxes before confirmation, handed out with it.
    """

    class_id: int
    first_s: float
    last_s: float
    state: TrackState = TrackState.TENTATIVE
    track_id: int = 0
    observations: int = 1
    embedded_s: float = -np.inf
    appearance: FloatArray | None = None
    good_crops: int = 0
    hidden: bool = False
    suspected: bool = False
    doubted: bool = False
    unconfirmed: list[Observation] = field(default_factory=list)

    def looks_apart(self, embedding: FloatArray) -> float:
        """Cosine distance of the running appearance from an embedding (D,); 0 before the first."""
        return 0.0 if self.appearance is None else 1 - float(self.appearance @ embedding)

    def blend_appearance(self, embedding: FloatArray, time_s: float) -> None:
        """Move the running appearance towards a new embedding (D,)."""
        self.embedded_s = time_s
        if self.appearance is None:
            # A row of a larger array would keep all of it in memory.
            self.appearance = embedding.copy()
            return
        blended = _APPEARANCE_MOMENTUM * self.appearance + (1 - _APPEARANCE_MOMENTUM) * embedding
        if blended.any():
            self.appearance = unit(blended)
