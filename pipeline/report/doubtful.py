"""Finds the links of a run that may be wrong, with the reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.decisions import Candidate, Decision, Obstacle, Stage, TrackKey
from pipeline.recorded.decision_sentences import tracks_text
from pipeline.recorded.people import Person, TrackSpan
from pipeline.report.run_data import RunData
from pipeline.report.words import name_of

#: Links below this confidence are doubtful. At half of the limit and without a rival, a link has 0.95. Final links
#: below it are wrong several times as often as others (docs/benchmark.md).
DOUBTFUL = 0.9
MOST_SHOWN = 24
# If no link is doubtful, the least sure ones are shown all the same.
_FEWEST_SHOWN = 3
# Costs are shares of the limit: within this distance, two candidates are nearly equally near.
_NEAR = 0.25
_FEW_CROPS = 2
# Somebody who cannot be the same person although the distance is below this share of the limit is worth a look: the
# constraint, or a track, may be wrong.
_LOOKS_THE_SAME = 0.5


@dataclass(frozen=True)
class Doubt:
    """A link that may be wrong.

    Attributes:
        person: who has the track.
        track: the track.
        beside: the track to compare it with by eye, None if there is none.
        beside_person: who has that track; another person if it is doubtful that these are two.
        reasons: sentences.
        looks_the_same: whether the track is alone although somebody who cannot be the same person looks the same.
    """

    person: Person
    track: TrackSpan
    beside: TrackSpan | None
    beside_person: Person | None
    reasons: Sequence[str]
    looks_the_same: bool = False

    @property
    def confidence(self) -> float:
        """Of the link of the track."""
        return self.track.link.confidence

    @property
    def is_doubtful(self) -> bool:
        """Whether the confidence is below `DOUBTFUL`, or appearance contradicts the link."""
        return self.confidence < DOUBTFUL or self.looks_the_same


def doubtful_links(run: RunData) -> tuple[list[Doubt], int]:
    """Return the links to look at, the least sure ones first, and the number of doubtful ones."""
    found: list[Doubt] = []
    doubtful = 0
    for doubt in links_by_doubt(run):
        doubtful += doubt.is_doubtful
        wanted = doubt.is_doubtful or (len(found) < _FEWEST_SHOWN and doubt.beside is not None)
        if wanted and len(found) < MOST_SHOWN:
            found.append(doubt)
    return found, doubtful


def links_by_doubt(run: RunData) -> list[Doubt]:
    """Return all links, the doubtful and least sure ones first. Fragments have no link, and each pair of tracks is
    named once."""
    people = {person.global_id: person for person in run.people}
    decided = {key: _last(decisions) for key, decisions in (run.decisions or {}).items()}
    every = [
        _doubt(track, person, decided.get(track.key), people, run)
        for person in run.persons
        for track in person.tracks
    ]
    every.sort(key=lambda doubt: (not doubt.is_doubtful, doubt.confidence, doubt.track.key))
    found: list[Doubt] = []
    pairs: set[frozenset[TrackKey]] = set()
    for doubt in every:
        pair = frozenset(track.key for track in (doubt.track, doubt.beside) if track is not None)
        if len(pair) == 2 and pair in pairs:
            continue
        pairs.add(pair)
        found.append(doubt)
    return found


def _last(decisions: Sequence[Decision]) -> Decision | None:
    """Return the decision that gave the final id."""
    given = [decision for decision in decisions if decision.links]
    return given[-1] if given else None


def _doubt(
    track: TrackSpan, person: Person, decision: Decision | None, people: Mapping[int, Person], run: RunData
) -> Doubt:
    """Return what may be wrong with the link of a track; `people` are all by their global ids."""
    others = [one for one in person.tracks if one.key != track.key]
    if decision is None or others:
        reasons = ["Why is not recorded."] if decision is None else _why_joined(decision, people)
        beside = _beside(track, others, run)
        return Doubt(person, track, beside, None if beside is None else person, reasons)
    rival = _nearest_rival(decision)
    twin = _impossible_twin(decision) if rival is None else None
    nearest = rival or twin
    # Online ids are other numbers if a second pass followed.
    known = decision.stage is Stage.SECOND_PASS or not track.link.final
    theirs = people.get(nearest.global_id) if nearest is not None and known else None
    beside = None if theirs is None else _beside(track, theirs.tracks, run)
    return Doubt(person, track, beside, theirs, _why_alone(decision, nearest, people), twin is not None)


def _beside(track: TrackSpan, others: Sequence[TrackSpan], run: RunData) -> TrackSpan | None:
    """Return the track to compare with: with a good picture, of another camera, near in time."""

    def rank(other: TrackSpan) -> tuple[bool, bool, float]:
        boxes = run.boxes.get(other.key, ())
        is_good = bool(boxes) and boxes[0].quality[0]
        apart_s = max(other.start_s - track.end_s, track.start_s - other.end_s, 0.0)
        return (not is_good, other.camera_id == track.camera_id, apart_s)

    return min(others, key=rank, default=None)


def _why_joined(decision: Decision, people: Mapping[int, Person]) -> list[str]:
    if decision.stage is Stage.SECOND_PASS and decision.joined:
        reasons = [f"Joined with {tracks_text(decision)}{_measured(_own(decision), decision)}."]
    else:
        reasons = [f"Linked to this person{_measured(_own(decision), decision)}."]
    own = _own(decision)
    rival = _nearest_rival(decision)
    if own is not None and own.cost is not None:
        if rival is not None and rival.cost is not None and rival.cost - own.cost < _NEAR:
            who = _who(rival, decision, people)
            nearer = "nearer" if rival.cost < own.cost else "nearly as near"
            excluded = ", but another track of this person excludes it" if rival.impossible is not None else ""
            reasons.append(f"{who} is {nearer}{_measured(rival, decision)}{excluded}.")
        if own.cost > 1 - _NEAR:
            reasons.append(f"This is {100 * own.cost:.0f} % of the limit.")
    return [*reasons, *_few_crops(decision)]


def _why_alone(decision: Decision, rival: Candidate | None, people: Mapping[int, Person]) -> list[str]:
    if rival is None:
        return ["With no other track: nobody is near enough to compare.", *_few_crops(decision)]
    who = _who(rival, decision, people)
    if rival.impossible not in (None, Obstacle.OTHER_TRACKS):
        reason = f"{who} looks the same{_measured(rival, decision)}, but is impossible: {rival.impossible}."
    else:
        reason = f"{who} is the nearest{_measured(rival, decision)}."
    return ["With no other track.", reason, *_few_crops(decision)]


def _impossible_twin(decision: Decision) -> Candidate | None:
    """Return the nearest candidate that is impossible although it looks the same; None without one."""
    if decision.limit is None:
        return None
    twins = [
        (one.cosine_distance, one)
        for one in decision.candidates
        if one.cosine_distance is not None and one.cosine_distance < _LOOKS_THE_SAME * decision.limit
    ]
    return min(twins, key=lambda twin: twin[0])[1] if twins else None


def _own(decision: Decision) -> Candidate | None:
    return next((one for one in decision.candidates if one.global_id == decision.global_id), None)


def _nearest_rival(decision: Decision) -> Candidate | None:
    """Return the nearest other candidate that appearance or floor could be mixed up with."""
    rivals = [
        one
        for one in decision.candidates
        if one.global_id != decision.global_id
        and one.cost is not None
        and one.impossible in (None, Obstacle.OTHER_TRACKS)
    ]
    return min(rivals, key=lambda one: one.cost if one.cost is not None else 0.0, default=None)


def _who(candidate: Candidate, decision: Decision, people: Mapping[int, Person]) -> str:
    """Return the name of a candidate; `people` are all by their final ids."""
    if decision.stage is Stage.ONLINE:
        return f"Online id {candidate.global_id}"
    found = people.get(candidate.global_id)
    return f"Id {candidate.global_id}" if found is None else name_of(found)


def _measured(candidate: Candidate | None, decision: Decision) -> str:
    """Return the distances of a candidate in brackets, with a space before; '' without any."""
    if candidate is None:
        return ""
    parts = []
    if candidate.cosine_distance is not None:
        limit = "" if decision.limit is None else f" of at most {decision.limit:.2f}"
        parts.append(f"distance {candidate.cosine_distance:.2f}{limit}")
    if candidate.floor_distance_m is not None:
        parts.append(f"{candidate.floor_distance_m:.1f} m apart on the floor")
    return f" ({', '.join(parts)})" if parts else ""


def _few_crops(decision: Decision) -> list[str]:
    if decision.good_crops > _FEW_CROPS:
        return []
    return [f"Only {decision.good_crops or 'no'} good crop{'s' * (decision.good_crops != 1)} of it."]
