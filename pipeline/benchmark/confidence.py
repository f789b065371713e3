"""Compares the confidence of links with how often they are right.

**What is judged.** Every decision that gives a track its id, of tracks that follow somebody (`benchmark.losses`).
Online, a decision is right if it links the track to an identity of its person, or founds one for a person without any.
In the second pass, and for fragments in both stages, it is right if the id is the right id of the person. Tracks that
follow nobody (false boxes) cannot be right or wrong, and are only counted.

**Kinds.** A track is *linked* to others, has *founded* an identity, or is a *fragment*. In the second pass, the tracks
of a group of several are linked, and a track alone has founded an identity.

**Confidence 0** says that the track was compared with nobody. It is no probability, so these links are in a bin of
their own and are left out of the expected calibration error (ECE): the mean difference between the mean confidence of a
bin and its share of right links, weighted by the number of links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.benchmark.contestants import Tracked
from pipeline.benchmark.losses import decided_right, decisions_of, followed_tracks, right_ids
from pipeline.core.decisions import Decision, Outcome, Stage
from pipeline.cross_camera.fragments import NOT_COMPARED
from pipeline.files.track_boxes import TrackBoxes

#: Upper ends of the bins, each included; the first holds the links that were compared with nobody.
BIN_ENDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Kind(StrEnum):
    """What a decision did with a track."""

    LINKED = "linked"
    FOUNDED = "founded"
    FRAGMENT = "fragment"


@dataclass(frozen=True)
class JudgedLink:
    """The link of a track that follows somebody.

    Attributes:
        confidence: as in trajectories.csv, in [0, 1].
    """

    kind: Kind
    confidence: float
    right: bool


@dataclass(frozen=True)
class Judged:
    """The links of a run.

    Attributes:
        follow_nobody: number of tracks that follow nobody.
        not_stated: number of tracks whose last row was written before their decision, so no row has its confidence.
    """

    links: Sequence[JudgedLink]
    follow_nobody: int = 0
    not_stated: int = 0


@dataclass(frozen=True)
class Bin:
    """The links whose confidence is above the end of the bin before and at most `end`.

    Attributes:
        mean: mean confidence, 0 without links.
    """

    end: float
    links: int = 0
    right: int = 0
    mean: float = 0.0


def judge(tracked: Tracked, ground_truth: Mapping[str, TrackBoxes], stage: Stage) -> Judged:
    """Return the links of a run with its decisions, each right or wrong."""
    tracks = followed_tracks(tracked, ground_truth)
    right_id = right_ids(tracks.values())
    right = decided_right(tracked, tracks, stage)
    links = []
    follow_nobody = not_stated = 0
    for decision in decisions_of(tracked, stage):
        link = tracked.links.get(decision.key)
        if decision.key not in tracks:
            follow_nobody += 1
        elif link is None or link.global_id != decision.global_id:
            not_stated += 1
        else:
            kind = _kind(decision, link.confidence)
            is_right = right[decision.key]
            if kind is Kind.FRAGMENT:
                is_right = decision.global_id == right_id[tracks[decision.key].person]
            links.append(JudgedLink(kind, link.confidence, is_right))
    return Judged(links, follow_nobody, not_stated)


def _kind(decision: Decision, confidence: float) -> Kind:
    if decision.outcome is Outcome.LINKED:
        return Kind.LINKED
    # Online, a track that ended while it waited founds an identity that others can join, with confidence 0.
    alone = decision.stage is Stage.SECOND_PASS and confidence == NOT_COMPARED
    return Kind.FRAGMENT if alone or decision.outcome is Outcome.WITHOUT_EVIDENCE else Kind.FOUNDED


def reliability(links: Iterable[JudgedLink]) -> list[Bin]:
    """Return the bins of `BIN_ENDS`, empty ones included."""
    inside: list[list[JudgedLink]] = [[] for _ in BIN_ENDS]
    for link in links:
        inside[next(place for place, end in enumerate(BIN_ENDS) if link.confidence <= end)].append(link)
    return [
        Bin(
            end,
            len(some),
            sum(link.right for link in some),
            sum(link.confidence for link in some) / max(len(some), 1),
        )
        for end, some in zip(BIN_ENDS, inside, strict=True)
    ]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the expected calibration error in [0, 1]; None if no link was compared."""
    compared = [one for one in bins if one.end > NOT_COMPARED]
    total = sum(one.links for one in compared)
    return sum(abs(one.links * one.mean - one.right) for one in compared) / total if total else None


def to_dict(judged: Judged) -> dict[str, Any]:
    """Return bins and calibration error for JSON, of each kind and of all but fragments."""
    parts: dict[str, Sequence[JudgedLink]] = {
        kind: [link for link in judged.links if link.kind is kind] for kind in Kind
    }
    parts["linked or founded"] = [link for link in judged.links if link.kind is not Kind.FRAGMENT]
    content: dict[str, Any] = {"follow_nobody": judged.follow_nobody, "not_stated": judged.not_stated}
    for name, links in parts.items():
        bins = reliability(links)
        content[name] = {
            "calibration_error": calibration_error(bins),
            "bins": [
                {"up_to": one.end, "links": one.links, "right": one.right, "mean_confidence": one.mean}
                for one in bins
            ],
        }
    return content
