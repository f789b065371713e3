"""Measures time, memory and accuracy of the second pass with many made tracklets."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.benchmark.linking_load import LIMITS
from pipeline.benchmark.one_core import one_core
from pipeline.benchmark.simulated_site import SimulatedTracklets
from pipeline.core.datatypes import Link
from pipeline.core.decisions import TrackKey
from pipeline.cross_camera.second_pass import SecondPass
from pipeline.cross_camera.settings import LinkerSettings, SecondPassSettings


@dataclass(frozen=True)
class PairScores:
    """Accuracy over all pairs of tracklets.

    Attributes:
        precision: share of the pairs with the same id that are one person.
        recall: share of the pairs of one person that have the same id.
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """F1 score of precision and recall."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)


@dataclass(frozen=True)
class SecondPassFigures:
    """The measured figures.

    Attributes:
        tracklets, people: number of tracklets, and of people; somebody who was away for longer than the memory lasts
            counts again.
        ids: number of global ids.
        cpu_s: CPU seconds of the second pass, without making the tracklets.
        scores: of the final ids.
        surplus: people who were forgotten because there were too many.
    """

    tracklets: int
    people: int
    ids: int
    cpu_s: float
    scores: PairScores
    surplus: int

    def line(self) -> str:
        """Return the figures in words."""
        scores = self.scores
        return (
            f"{self.tracklets} tracklets of {self.people} people: {self.ids} ids, pairs: precision "
            f"{scores.precision:.4f}, recall {scores.recall:.4f}, F1 {scores.f1:.4f}; {self.cpu_s:.1f} s of CPU time; "
            f"{self.surplus} people forgotten because there were too many"
        )


def measure_second_pass(
    tracklets: SimulatedTracklets, settings: SecondPassSettings, linker: LinkerSettings
) -> SecondPassFigures:
    """Link the tracklets on one core."""
    making_s = 0.0
    with one_core():
        began_s = time.process_time()
        for _ in tracklets:
            pass
        making_s = 2 * (time.process_time() - began_s)  # the second pass iterates twice
        second_pass = SecondPass(tracklets.site.camera_ids, settings, linker, LIMITS)
        began_s = time.process_time()
        links = second_pass.link(tracklets)
        spent_s = time.process_time() - began_s
    truth = _truth(tracklets, linker.identity_memory_s)
    return SecondPassFigures(
        tracklets=len(links),
        people=len(set(truth.values())),
        ids=len({link.global_id for link in links.values()}),
        cpu_s=max(spent_s - making_s, 0.0),
        scores=pair_scores(links, truth),
        surplus=second_pass.forgotten.surplus,
    )


def pair_scores(links: Mapping[TrackKey, Link], truth: Mapping[TrackKey, object]) -> PairScores:
    """Return the accuracy of `links`; `truth` says whose each tracklet is."""
    pairs = _pairs(Counter((links[key].global_id, person) for key, person in truth.items()))
    linked = _pairs(Counter(links[key].global_id for key in truth))
    real = _pairs(Counter(truth.values()))
    return PairScores(pairs / linked if linked else 1.0, pairs / real if real else 1.0)


def _pairs(groups: Counter[object] | Counter[int] | Counter[tuple[int, object]]) -> int:
    return sum(count * (count - 1) // 2 for count in groups.values())


def _truth(tracklets: SimulatedTracklets, memory_s: float) -> dict[TrackKey, tuple[int, int]]:
    """Return (person, stay) of each tracklet."""
    stay: dict[int, int] = {}
    left_s: dict[int, float] = {}
    found = {}
    for visit in tracklets.visits():
        if visit.start_s - left_s.get(visit.person, visit.start_s) > memory_s:
            stay[visit.person] = stay.get(visit.person, 0) + 1
        left_s[visit.person] = visit.start_s + tracklets.site.view_s
        found[f"cam{visit.camera + 1}", visit.number] = (visit.person, stay.get(visit.person, 0))
    return found
