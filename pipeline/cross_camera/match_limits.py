"""Match limits as numbers, resolved from the configuration and the calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Match limits hold for this number of people to choose from.
FEW_PEOPLE = 10
# Smallest factor: a smaller one would need false match rates that are too low for the calibration to measure.
_LEAST_CROWD_FACTOR = 0.25


@dataclass(frozen=True)
class LinkLimits:
    """Match limits for two tracks of different times or cameras.

    Attributes:
        cosine: for embeddings as they are.
        centred_cosine: for embeddings with their camera mean subtracted; None if nothing is subtracted.
        crowd_tightening: share by which the limit is lowered for every tenfold increase in people, in [0, 1].
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
        """Return the (N,) factors by which that limit is multiplied, for numbers of people (N,) to choose from.

        Among ten times as many people, the same false match rate causes ten times as many mistakes.
        """
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
