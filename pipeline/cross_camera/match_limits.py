"""The cosine distances up to which two views count as one person: numbers, whatever a configuration leaves open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Limits hold for this number of people to choose from.
FEW_PEOPLE = 10
# The calibration says nothing about smaller rates of false matches than this stands for.
_LEAST_CROWD_FACTOR = 0.25


@dataclass(frozen=True)
class LinkLimits:
    """Limits for two tracks of different times or cameras.

    Attributes:
        cosine: of embeddings as they are.
        centred_cosine: of embeddings from which the mean of their camera was subtracted; None subtracts nothing.
        crowd_tightening: share of the limit that is taken away for every ten times as many people, in [0, 1].
    """

    cosine: float
    centred_cosine: float | None
    crowd_tightening: float

    def at(self, weight: float) -> float:
        """The limit where the share `weight`, in [0, 1], of a camera's mean was subtracted, for `FEW_PEOPLE`."""
        if self.centred_cosine is None:
            return self.cosine
        return (1 - weight) * self.cosine + weight * self.centred_cosine

    def crowd_factors(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) factors on that limit for numbers of people (N,) to choose from: a rate of false matches that is right
        for `FEW_PEOPLE` makes ten times as many mistakes among ten times as many."""
        tenfolds = np.log10(np.maximum(people / FEW_PEOPLE, 1.0))
        return np.asarray(np.maximum(1.0 - self.crowd_tightening * tenfolds, _LEAST_CROWD_FACTOR))


@dataclass(frozen=True)
class MatchLimits:
    """The limits of all parts of a run.

    Attributes:
        tracker: cosine distance of a crop and a track of the same camera.
        linker, second_pass: of tracks.
    """

    tracker: float
    linker: LinkLimits
    second_pass: LinkLimits
