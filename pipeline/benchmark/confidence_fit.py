"""Fits a monotone mapping from confidence to the share of right links, and judges it on places it was not fitted on.

The mapping has two constants: a power of the odds (a sharper or flatter confidence: 2 doubles the log-odds) and a
ceiling (mistakes that no distance shows). It is fitted to the least log loss, with the same weight for each place.
Confidences are stored with three digits, so they count as at least .0005 and at most .9995.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipeline.benchmark.confidence import JudgedLink, calibration_error, reliability
from pipeline.cross_camera.fragments import NOT_COMPARED

Array = NDArray[np.float64]

_LEAST = 0.0005
_POWERS, _CEILINGS = (0.25, 4.0), (0.5, 1.0)


@dataclass(frozen=True)
class ConfidenceMapping:
    """`ceiling * odds / (1 + odds)`, where the odds are those of a confidence to the power of `power`."""

    power: float = 1.0
    ceiling: float = 1.0

    def __call__(self, confidence: Array) -> Array:
        """Return the mapped confidences (N,) in [0, 1]; 0 stays 0."""
        for_it, against = confidence**self.power, (1 - confidence) ** self.power
        return np.asarray(self.ceiling * for_it / (for_it + against))


@dataclass(frozen=True)
class LeftOut:
    """Confidence at a place, as it is and as a mapping of the other places makes it.

    Attributes:
        links: number of links that were compared.
        right: share of these that are right.
        mapping: fitted on all other places.
        error, mapped_error: expected calibration errors.
        loss, mapped_loss: mean log losses.
    """

    links: int
    right: float
    mapping: ConfidenceMapping
    error: float
    mapped_error: float
    loss: float
    mapped_loss: float


def fit(places: Sequence[Sequence[JudgedLink]]) -> ConfidenceMapping:
    """Return the mapping with the least log loss over places with links that were compared."""
    known = [_arrays(links) for links in places]

    def loss(constants: Array) -> float:
        mapping = ConfidenceMapping(float(np.exp(constants[0])), float(constants[1]))
        return float(np.mean([_log_loss(mapping(confidence), right) for confidence, right in known]))

    bounds = [(float(np.log(_POWERS[0])), float(np.log(_POWERS[1]))), _CEILINGS]
    # Without a simplex, the search would start with steps that are too small to leave a power of 1.
    simplex = np.array([[0.0, 0.98], [0.7, 0.98], [0.0, 0.9]])
    options = {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-8}
    found = minimize(loss, simplex[0], bounds=bounds, method="Nelder-Mead", options=options)
    return ConfidenceMapping(float(np.exp(found.x[0])), float(found.x[1]))


def leave_one_out(places: Mapping[str, Sequence[JudgedLink]]) -> dict[str, LeftOut]:
    """Fit on all places but one, and judge that one; places without a link that was compared are left out.

    Returns:
        Nothing for fewer than two places.
    """
    compared = {
        name: some
        for name, links in places.items()
        if (some := [link for link in links if link.confidence > NOT_COMPARED])
    }
    if len(compared) < 2:
        return {}
    found = {}
    for name, links in compared.items():
        mapping = fit([others for other, others in compared.items() if other != name])
        confidence, right = _arrays(links)
        mapped = mapping(confidence)
        found[name] = LeftOut(
            len(links),
            float(right.mean()),
            mapping,
            _error(links, confidence),
            _error(links, mapped),
            _log_loss(confidence, right),
            _log_loss(mapped, right),
        )
    return found


def _arrays(links: Sequence[JudgedLink]) -> tuple[Array, Array]:
    confidence = np.clip([link.confidence for link in links], _LEAST, 1 - _LEAST)
    return confidence, np.array([link.right for link in links], np.float64)


def _log_loss(confidence: Array, right: Array) -> float:
    return float(-np.log(np.where(right > 0, confidence, 1 - confidence)).mean())


def _error(links: Sequence[JudgedLink], confidence: Array) -> float:
    moved = [replace(link, confidence=value) for link, value in zip(links, confidence.tolist(), strict=True)]
    return calibration_error(reliability(moved)) or 0.0
