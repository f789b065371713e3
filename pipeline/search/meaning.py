"""What the distance between a query and a track means: same person, perhaps, or no.

The match limit of a run is the distance up to which its linker takes two tracks for one person. It was measured with a
false match rate: the share of pairs of two people within the limit. The three bands are defined by it here, once:

- same person: up to the limit. As in the linker, it is lower for a single crop (`few_crops_factor`) and among many
  people (`crowd_tightening`), so that a search among ten times as many people has as many false matches.
- perhaps: up to a fifth of the match limit beyond the limit for several crops, with about six times as many false
  matches (docs/find.md has the figures for places that took no part in the calibration).
- no: beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.config.calibration import Calibration
from pipeline.cross_camera.match_limits import FEW_PEOPLE, LinkLimits

#: How far "perhaps" goes beyond "same person", as a share of the match limit ...
PERHAPS_BEYOND = 0.2
#: ... and about how many times as many false matches that are.
PERHAPS_RATE = 6.0
# Two limits that differ by less are the same one, written and read again.
_SAME_LIMIT = 1e-6


class Meaning(StrEnum):
    """A band of distances."""

    SAME = "same person"
    PERHAPS = "perhaps"
    NO = "no"


@dataclass(frozen=True)
class Bands:
    """The bands of one search in one run, in costs: distances divided by the match limit of their comparison.

    Attributes:
        same_cost: largest cost of "same person".
        perhaps_cost: largest cost of "perhaps", by the limit for several crops.
        false_match_rate: share of pairs of two people that the limits take for one; None if it was never measured, or
            if the limits of the run are not those of the calibration.
        people: number of people among whom is searched.
    """

    same_cost: float
    perhaps_cost: float
    false_match_rate: float | None
    people: int

    @classmethod
    def of(cls, limits: LinkLimits, rate: float | None, people: int) -> Bands:
        """Return the bands of a search among `people` people.

        Args:
            rate: false match rate of `limits`.
        """
        factor = float(limits.crowd_factors(np.array([people], np.int64))[0])
        return cls(factor, factor + PERHAPS_BEYOND, rate, people)

    def meaning(self, cost: float, few_crops_factor: float = 1.0) -> Meaning:
        """Return the band of a cost.

        Args:
            few_crops_factor: by which the match limit of the comparison was multiplied for a single crop, in (0, 1].
        """
        if cost <= self.same_cost:
            return Meaning.SAME
        return Meaning.PERHAPS if cost * few_crops_factor <= self.perhaps_cost else Meaning.NO

    @property
    def same_rate(self) -> float | None:
        """Share of pairs of two people within the limit of "same person", None if unknown."""
        if self.false_match_rate is None:
            return None
        return self.false_match_rate * min(FEW_PEOPLE / self.people, 1.0) if self.people else self.false_match_rate

    @property
    def perhaps_rate(self) -> float | None:
        """The same for "perhaps"."""
        return None if self.same_rate is None else min(self.same_rate * PERHAPS_RATE, 1.0)

    def sentence(self) -> str:
        """Return what the words mean, for readers."""
        if self.same_rate is None or self.perhaps_rate is None:
            return (
                f'"{Meaning.SAME}" is up to the match limit of the run, "{Meaning.PERHAPS}" up to '
                f"{self.perhaps_cost / self.same_cost:.2f} times as far; how often these limits are wrong was not "
                "measured (`mtmc reid calibrate`)"
            )
        return (
            f'by the calibration, {_share(self.same_rate)} of other people are within "{Meaning.SAME}", about '
            f'{_share(self.perhaps_rate)} within "{Meaning.PERHAPS}"; {self.people} people were compared'
        )


def false_match_rate(limits: LinkLimits, calibration: Calibration | None, weight: float) -> float | None:
    """Return the false match rate of `limits`, None if it is not known.

    Args:
        calibration: of the model; its rates count only if its limits are those in use.
        weight: share of the camera mean that is subtracted, in [0, 1].
    """
    if calibration is None:
        return None
    plain, centred = calibration.track, calibration.centred_track
    if centred is None or limits.centred_cosine is None:
        known = _is(limits.cosine, plain.max_cosine_distance)
        return plain.false_match_rate if known and limits.centred_cosine is None else None
    if not (
        _is(limits.cosine, plain.max_cosine_distance) and _is(limits.centred_cosine, centred.max_cosine_distance)
    ):
        return None
    return (1 - weight) * plain.false_match_rate + weight * centred.false_match_rate


def limits_of_pairs(limits: LinkLimits, weight: float, weights: Sequence[float]) -> NDArray[np.float64]:
    """Return the (C,) match limits of a query and tracks of C cameras: the mean over both sides, as in the second pass.

    Args:
        weight: share of a camera mean that was subtracted from the query, in [0, 1].
        weights: the same for each camera.
    """
    return np.array([(limits.at(weight) + limits.at(other)) / 2 for other in weights], np.float64)


def _is(one: float, other: float) -> bool:
    return abs(one - other) < _SAME_LIMIT


def _share(rate: float) -> str:
    return f"{100 * rate:.2g} %"
