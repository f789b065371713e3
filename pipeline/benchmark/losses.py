"""Counts the boxes and tracks that linking loses, by cause.

**What is counted.** Perfect linking gives each track to the person that it follows most (`scoring.evaluation`). The
boxes of a track that overlap with this person are counted; other boxes are errors of detection or tracking, which
linking cannot correct. Every person has one *right id*: ids are matched to persons one to one, so that most of these
boxes have the right id, as in IDF1. A box with another id is lost, and so is a track whose decided id is not the right
one.

**Causes online.** The decisions are followed in order. An identity belongs to the person that most boxes of its tracks
so far are on. A decision is right if it links the track to an identity of its person, or founds a new one for a person
without an identity. A wrong decision has the first cause in this list that applies:

- *too few good crops*: the track ended before it had enough good crops or floor positions, or had too few of them
  after the longest wait.
- *stranger within the limit*: the person had no identity yet, and the track was linked to somebody else.
- *founded too early*: the track became a new person at most `EARLY_S` seconds after the person got the first identity,
  in most cases in another camera.
- *right person in view*: the identity of the person is on another track of the same camera that is in view.
- *held by a lost track*: it is held by a lost track of the camera.
- *transit time or floor*: transit times or floor positions exclude it.
- *right id went to another track*: the assignment gave it to another track of the camera at the same moment.
- *ambiguous*: the track became a new person after it had waited between two near candidates.
- *wrong candidate nearer*: another possible candidate is nearer than the person.
- *limit too tight*: the person is the nearest possible candidate, but above the limit.
- *forgotten*: the identity of the person was forgotten after `linker.identity_memory_s`.
- *other*: anything else.

A track whose own decision is right can still lose its boxes, if the person has several identities by mistake: the track
joined one that is not the right id, or it founded one, and a later mistake founded another that most boxes have. It has
the cause of the first wrong decision for this person into the identity of the track, or else into the right id.

Rows that were written before a track was linked to the right id have the cause *written before the decision*.

**Causes offline.** The second pass decides about all tracks at once, so there is no order. The group of a track is
compared with the group that has the right id:

- *stranger within the limit*: all boxes of the person are in groups of other people.
- *too few good crops*: the track has none.
- *right person in view*: the right group, or a track in it, was seen by the same camera at the same time as the track,
  or as another track of its group.
- *transit time or floor*: as above.
- *forgotten*: the right group was away for longer than `linker.identity_memory_s`.
- *wrong candidate nearer*: the track was joined with other people, or is alone but nearer to them.
- *limit too tight*: the right group is the nearest possible one, but too far from the track or from its group.
- *other*: anything else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from pipeline.benchmark.contestants import Tracked
from pipeline.core.assignment import assign
from pipeline.core.datatypes import BoolArray, IntArray
from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage, TrackKey
from pipeline.files.track_boxes import TrackBoxes
from pipeline.scoring.perfect_linking import followed

#: An identity that is younger than this has been founded at almost the same moment.
EARLY_S = 1.0


class Cause(StrEnum):
    """Why a box has its id; see the description of this module."""

    RIGHT = "linked right"
    EARLY_ROWS = "written before the decision"
    FEW_CROPS = "too few good crops"
    STRANGER = "stranger within the limit"
    FOUNDED_EARLY = "founded too early"
    IN_VIEW = "right person in view"
    HELD = "held by a lost track"
    CONSTRAINT = "transit time or floor"
    WENT_TO_ANOTHER = "right id went to another track"
    AMBIGUOUS = "ambiguous"
    WRONG_NEARER = "wrong candidate nearer"
    LIMIT = "limit too tight"
    FORGOTTEN = "forgotten"
    OTHER = "other"


_OF_OBSTACLE = {
    Obstacle.IN_VIEW: Cause.IN_VIEW,
    Obstacle.SAME_TIME: Cause.IN_VIEW,
    Obstacle.OTHER_TRACKS: Cause.IN_VIEW,
    Obstacle.HELD: Cause.HELD,
    Obstacle.TRANSIT_TIME: Cause.CONSTRAINT,
    Obstacle.TOO_FAR: Cause.CONSTRAINT,
    Obstacle.APART: Cause.CONSTRAINT,
    Obstacle.WENT_TO_ANOTHER: Cause.WENT_TO_ANOTHER,
    Obstacle.FEW_CROPS: Cause.FEW_CROPS,
    Obstacle.ABSENCE: Cause.FORGOTTEN,
}


@dataclass
class Losses:
    """Number of boxes and tracks by cause, those that are linked right included.

    `Cause.EARLY_ROWS` has no tracks: these tracks are linked right in the end.
    """

    boxes: Counter[Cause] = field(default_factory=Counter)
    tracks: Counter[Cause] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts for JSON, for every cause."""
        return {cause: {"boxes": self.boxes[cause], "tracks": self.tracks[cause]} for cause in Cause}


@dataclass(frozen=True, eq=False)
class Track:
    """A track that follows somebody.

    Attributes:
        person: that it follows most.
        ids: (B,) ids of its boxes on this person.
    """

    person: int
    ids: IntArray


def losses(tracked: Tracked, ground_truth: Mapping[str, TrackBoxes], stage: Stage) -> Losses:
    """Count the losses of a run with its decisions.

    Args:
        stage: whose ids the boxes have.
    """
    tracks = followed_tracks(tracked, ground_truth)
    right = right_ids(tracks.values())
    decided = decisions_of(tracked, stage)
    if stage is Stage.ONLINE:
        waited = {
            decision.key: decision.reason
            for decision in tracked.decisions
            if decision.stage is stage and decision.outcome is Outcome.WAITING
        }
        causes = _online_causes(decided, waited, tracks)
        causes = _with_later_causes(decided, causes, tracks, right)
    else:
        causes = _final_causes(decided, tracks, right)
    found = Losses()
    id_of = {decision.key: decision.global_id for decision in decided}
    for key, track in tracks.items():
        good = int((track.ids == right[track.person]).sum())
        linked_right = id_of.get(key) == right[track.person]
        cause = causes.get(key, Cause.OTHER)
        found.boxes[Cause.RIGHT] += good
        if good < len(track.ids):
            found.boxes[Cause.EARLY_ROWS if linked_right else cause] += len(track.ids) - good
        found.tracks[Cause.RIGHT if linked_right else cause] += 1
    return found


def decisions_of(tracked: Tracked, stage: Stage) -> list[Decision]:
    """Return the decisions of a stage that gave a track its id, in order."""
    return [decision for decision in tracked.decisions if decision.stage is stage and decision.links]


def decided_right(tracked: Tracked, tracks: Mapping[TrackKey, Track], stage: Stage) -> dict[TrackKey, bool]:
    """Return whether the own decision of each track is right, as this module describes it; earlier mistakes with the
    same person do not count.

    Args:
        tracks: those that follow somebody; others are not judged.
    """
    decided = decisions_of(tracked, stage)
    if stage is Stage.ONLINE:
        causes = _online_causes(decided, {}, tracks)
    else:
        causes = _final_causes(decided, tracks, right_ids(tracks.values()))
    return {key: cause is Cause.RIGHT for key, cause in causes.items()}


def followed_tracks(tracked: Tracked, ground_truth: Mapping[str, TrackBoxes]) -> dict[TrackKey, Track]:
    """Return the tracks that follow somebody."""
    found = {}
    for camera, boxes in followed(tracked.boxes, ground_truth).items():
        if camera not in tracked.boxes:
            continue
        own = tracked.boxes[camera]
        for track_id in np.unique(own.track_id).tolist():
            rows: BoolArray = (own.track_id == track_id) & (boxes.person >= 0)
            if rows.any():
                person = int(boxes.person[rows][0])
                found[camera, track_id] = Track(person, own.boxes.ids[rows & boxes.on_person])
    return found


def right_ids(tracks: Iterable[Track]) -> dict[int, int]:
    """Return the right id of each person: the one-to-one choice with which most boxes have the right id. A person of
    whom no box has a free id gets -1."""
    count: Counter[tuple[int, int]] = Counter()
    persons = set()
    for track in tracks:
        persons.add(track.person)
        count.update((track.person, global_id) for global_id in track.ids.tolist())
    rows, columns = sorted(persons), sorted({global_id for _, global_id in count})
    cost = np.full((len(rows), len(columns)), np.inf)
    total = count.total() + 1
    for (person, global_id), boxes in count.items():
        cost[rows.index(person), columns.index(global_id)] = 1 - boxes / total
    chosen = {rows[row]: columns[column] for row, column in assign(cost, 1.0).tolist()}
    return {person: chosen.get(person, -1) for person in rows}


def _online_causes(
    decided: Sequence[Decision], waited: Mapping[TrackKey, Reason], tracks: Mapping[TrackKey, Track]
) -> dict[TrackKey, Cause]:
    """Return the cause of each track's own decision, `Cause.RIGHT` for a right one.

    Args:
        waited: the last reason for which each track waited.
    """
    causes: dict[TrackKey, Cause] = {}
    boxes_on: dict[int, Counter[int]] = defaultdict(Counter)
    founded_s: dict[int, float] = {}
    for decision in decided:
        assert decision.global_id is not None
        track = tracks.get(decision.key)
        if track is not None:
            owners = {global_id: max(on, key=lambda person: on[person]) for global_id, on in boxes_on.items()}
            own = {global_id for global_id, person in owners.items() if person == track.person}
            causes[decision.key] = _online_cause(decision, own, waited.get(decision.key), founded_s)
        if decision.outcome is not Outcome.WITHOUT_EVIDENCE:
            founded_s.setdefault(decision.global_id, decision.time_s)
            boxes_on[decision.global_id][-1 if track is None else track.person] += (
                1 if track is None else len(track.ids)
            )
    return causes


def _online_cause(
    decision: Decision, own: set[int], waited: Reason | None, founded_s: Mapping[int, float]
) -> Cause:
    """Return the cause of one decision.

    Args:
        own: the identities of the person whom the track follows.
        waited: the last reason for which the track waited.
        founded_s: when each identity was founded.
    """
    if decision.outcome is Outcome.WITHOUT_EVIDENCE:
        return Cause.FEW_CROPS
    if not own:
        return Cause.STRANGER if decision.outcome is Outcome.LINKED else Cause.RIGHT
    if decision.global_id in own:
        return Cause.RIGHT
    if decision.reason in (Reason.ENDED_FEW_CROPS, Reason.ENDED_FEW_POSITIONS):
        return Cause.FEW_CROPS
    founds = decision.outcome is Outcome.NEW
    best = next((one for one in decision.candidates if one.global_id in own), None)
    age_s = max(decision.time_s - founded_s[global_id] for global_id in own)
    if founds and age_s <= EARLY_S:
        return Cause.FOUNDED_EARLY
    if best is None:
        # Identities that are known are candidates of every track that has an embedding.
        return Cause.FORGOTTEN if decision.good_crops else Cause.FEW_CROPS
    if best.impossible is not None:
        return _OF_OBSTACLE.get(best.impossible, Cause.OTHER)
    if founds and waited is Reason.TOO_CLOSE:
        return Cause.AMBIGUOUS
    return _nearest_or_limit(best, decision)


def _nearest_or_limit(best: Candidate, decision: Decision) -> Cause:
    """Return whether a wrong candidate is nearer than the right one, or the right one is above the limit."""
    cost = np.inf if best.cost is None else best.cost
    wrong = [
        one.cost
        for one in decision.candidates
        if one.impossible is None and one.cost is not None and one.global_id != best.global_id
    ]
    if min(wrong, default=np.inf) < cost:
        return Cause.WRONG_NEARER
    return Cause.LIMIT if cost > 1 else Cause.OTHER


def _with_later_causes(
    decided: Sequence[Decision],
    causes: Mapping[TrackKey, Cause],
    tracks: Mapping[TrackKey, Track],
    right: Mapping[int, int],
) -> dict[TrackKey, Cause]:
    """Return the causes; tracks that were decided right have that of the first wrong decision into their identity, or
    else into the right id."""
    first_wrong: dict[tuple[int, int | None], Cause] = {}
    id_of = {decision.key: decision.global_id for decision in decided}
    for decision in decided:
        if causes.get(decision.key, Cause.RIGHT) is not Cause.RIGHT:
            person = tracks[decision.key].person
            first_wrong.setdefault((person, decision.global_id), causes[decision.key])
    found = dict(causes)
    for key, cause in causes.items():
        if cause is Cause.RIGHT:
            person = tracks[key].person
            by_right_id = first_wrong.get((person, right[person]), Cause.OTHER)
            found[key] = first_wrong.get((person, id_of[key]), by_right_id)
    return found


def _final_causes(
    decided: Sequence[Decision], tracks: Mapping[TrackKey, Track], right: Mapping[int, int]
) -> dict[TrackKey, Cause]:
    boxes_on: dict[int | None, Counter[int]] = defaultdict(Counter)
    for decision in decided:
        if decision.key in tracks:
            track = tracks[decision.key]
            boxes_on[decision.global_id][track.person] += len(track.ids)
    causes = {}
    for decision in decided:
        if decision.key in tracks:
            person = tracks[decision.key].person
            on = boxes_on[decision.global_id]
            with_others = max(on, key=lambda one: on[one]) != person
            causes[decision.key] = _final_cause(decision, right[person], with_others=with_others)
    return causes


def _final_cause(decision: Decision, right_id: int, *, with_others: bool) -> Cause:
    """Return the cause of one decision of the second pass.

    Args:
        with_others: whether most boxes of the track's group are on somebody else.
    """
    if decision.global_id == right_id:
        return Cause.RIGHT
    if right_id < 0:
        return Cause.STRANGER
    if not decision.good_crops:
        return Cause.FEW_CROPS
    best = next((one for one in decision.candidates if one.global_id == right_id), None)
    if best is None:
        return Cause.OTHER
    if best.impossible is not None:
        return _OF_OBSTACLE.get(best.impossible, Cause.OTHER)
    if with_others:
        return Cause.WRONG_NEARER
    others = tuple(one for one in decision.candidates if one.global_id != decision.global_id)
    cause = _nearest_or_limit(best, replace(decision, candidates=others))
    return Cause.LIMIT if cause is Cause.OTHER else cause
