"""Match limits as numbers, with everything resolved that a configuration leaves open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Limits apply to this number of people to choose from.
FEW_PEOPLE = 10
# The calibration does not measure false match rates below the one that this factor stands for.
_LEAST_CROWD_FACTOR = 0.25


@dataclass(frozen=True)
class LinkLimits:
    """Match limits for two tracks of different times or cameras.

    Attributes:
        cosine: for embeddings as they are.
        centred_cosine: for embeddings with their camera mean subtracted; None subtracts nothing.
        crowd_tightening: share by which the limit is lowered for every tenfold number of people, in [0, 1].
    """

    cosine: float
    centred_cosine: float | None
    crowd_tightening: float

    def at(self, weight: float) -> float:
        """Return the limit for `FEW_PEOPLE` if the share `weight`, in [0, 1], of a camera mean was subtracted."""
        if self.centred_cosine is None:
            return self.cosine
        return (1 - weight) * self.cosine + weight * self.centred_cosine

    def crowd_factors(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (N,) factors on that limit for numbers of people (N,) to choose from: a false match rate that is right
        for `FEW_PEOPLE` causes ten times as many mistakes among ten times as many people."""
        tenfolds = np.log10(np.maximum(people / FEW_PEOPLE, 1.0))
        return np.asarray(np.maximum(1.0 - self.crowd_tightening * tenfolds, _LEAST_CROWD_FACTOR))


@dataclass(frozen=True)
class MatchLimits:
    """The match limits of all parts of a run.

    Attributes:
        tracker: for a crop and a track of the same camera.
        linker, second_pass: for two tracks.
    """

    tracker: float
    linker: LinkLimits
    second_pass: LinkLimits
