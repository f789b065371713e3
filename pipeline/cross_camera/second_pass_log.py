"""Collects why the second pass joined tracks or kept them apart; the ids are known only at its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.datatypes import Link, Tracklet
from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage, TrackKey
from pipeline.cross_camera.decision_log import FEW_CANDIDATES


@dataclass(frozen=True)
class Group:
    """A group of tracks that a track was compared with, without the track itself.

    Attributes:
        key: one of its tracks.
        cosine_distance, floor_distance_m, cost, obstacle: as in `Candidate`.
    """

    key: TrackKey
    cosine_distance: float | None
    floor_distance_m: float | None
    cost: float | None
    obstacle: Obstacle | None = None


@dataclass(frozen=True)
class _Note:
    """What is known about a track: its end, its crops, its limit, and the groups that it was compared with."""

    end_s: float
    good_crops: int
    mean_weight: float
    limit: float | None = None
    reason: Reason | None = None
    groups: tuple[Group, ...] = ()


class SecondPassLog:
    """Collects what the second pass compares; a later comparison of a track replaces an earlier one.

    Attributes:
        candidates: largest number of groups of a decision.
    """

    def __init__(self, candidates: int = FEW_CANDIDATES) -> None:
        self.candidates = candidates
        self._notes: dict[TrackKey, _Note] = {}

    def see(self, tracklet: Tracklet, mean_weight: float) -> None:
        """Note a tracklet, before it is compared.

        Args:
            mean_weight: share of the camera mean that is subtracted.
        """
        self._notes[tracklet.key] = _Note(tracklet.end_s, tracklet.good_crops, mean_weight)

    def compare(self, keys: Sequence[TrackKey], limit: float, groups: Sequence[Group], *, joined: bool) -> None:
        """Note the groups that tracks were compared with.

        Args:
            keys: the tracks, which were one already.
            limit: match limit on cosine distances.
            groups: the nearest ones.
            joined: whether they joined the first of these groups.
        """
        reason = Reason.JOINED if joined else None
        for key in keys:
            self._notes[key] = replace(self._notes[key], limit=limit, reason=reason, groups=tuple(groups))

    def find_again(self, keys: Sequence[TrackKey], group: Group) -> None:
        """Note that the person of tracks was recognised: the tracks join `group`, which had left the window."""
        for key in keys:
            note = self._notes[key]
            groups = (group, *note.groups[: self.candidates])
            self._notes[key] = replace(note, reason=Reason.FOUND_AGAIN, groups=groups)

    def decisions(self, links: Mapping[TrackKey, Link]) -> Iterator[Decision]:
        """Yield the decision about each track, in the order of global ids, cameras and tracks.

        Args:
            links: final link of every track.
        """
        people = defaultdict(list)
        for key, link in links.items():
            people[link.global_id].append(key)
        for global_id, keys in sorted(people.items()):
            for key in sorted(keys):
                joined = tuple(other for other in sorted(keys) if other != key)
                yield self._decision(key, global_id, joined, links)

    def _decision(
        self, key: TrackKey, global_id: int, joined: tuple[TrackKey, ...], links: Mapping[TrackKey, Link]
    ) -> Decision:
        note = self._notes[key]
        candidates: dict[int, Candidate] = {}
        for group in note.groups:
            other = links[group.key].global_id
            if other == global_id and not joined:
                continue
            candidates.setdefault(
                other,
                Candidate(other, group.cosine_distance, group.floor_distance_m, group.cost, group.obstacle),
            )
        reason = _together(note) if joined else _alone(note, candidates)
        return Decision(
            stage=Stage.SECOND_PASS,
            time_s=note.end_s,
            camera_id=key[0],
            track_id=key[1],
            outcome=Outcome.LINKED if joined else Outcome.NEW,
            reason=reason,
            global_id=global_id,
            good_crops=note.good_crops,
            limit=note.limit,
            mean_weight=note.mean_weight,
            candidates=tuple(candidates.values()),
            joined=joined,
        )


def _together(note: _Note) -> Reason:
    if note.reason is not None:
        return note.reason
    # Another track joined this one later, or the id is that of the online linker (a track without a tracklet).
    return Reason.FOUND_AGAIN if note.good_crops else Reason.JOINED_AS_ONLINE


def _alone(note: _Note, candidates: Mapping[int, Candidate]) -> Reason:
    if not candidates:
        return Reason.NO_CANDIDATE if note.good_crops else Reason.ENDED_FEW_CROPS
    if all(candidate.impossible for candidate in candidates.values()):
        return Reason.ALL_IMPOSSIBLE
    return Reason.NONE_WITHIN_LIMIT
