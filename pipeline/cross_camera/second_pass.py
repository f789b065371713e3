"""The final ids of a recording: all finished tracklets are clustered together, under the same hard constraints.

The tracklets are complete, so one bad crop weighs less than it did online. The clustering uses centroid linkage (see
`CentroidCosts`). It first joins a person's tracklets over absences of any length, because the embeddings of all stays
describe the person better. Then a person who was away for longer than `identity_memory_s` gets a new id for each stay.

Recordings with very many tracklets are clustered in windows: tracklets that are joined continue as one member with a
mean embedding. People who left the window are matched one to one; the memory limits of online linking apply to them.
Only the window and these people keep embeddings and floor positions; the rest of the recording keeps ids and times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.assignment import assign
from pipeline.core.datatypes import BoolArray, FloatArray, IntArray, Link, Tracklet
from pipeline.core.decisions import Obstacle, TrackKey
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.centroid_costs import CentroidCosts
from pipeline.cross_camera.clustering import constrained_linkage, split_at_absences
from pipeline.cross_camera.comparison import finite
from pipeline.cross_camera.distances import combined_cost, embedding_distances, mean_embedding, posterior
from pipeline.cross_camera.floor_pairs import floor_distances_m, floor_pairs
from pipeline.cross_camera.floor_path import slot_of
from pipeline.cross_camera.fragments import NOT_COMPARED, fragments
from pipeline.cross_camera.identity_limit import Forgotten, second_pass_limit, warn_of_surplus
from pipeline.cross_camera.match_limits import LinkLimits
from pipeline.cross_camera.member_constraints import MemberConstraints, other_class
from pipeline.cross_camera.members import Member, embedding_sums, joined
from pipeline.cross_camera.second_pass_log import Group, SecondPassLog
from pipeline.cross_camera.settings import LinkerSettings, SecondPassSettings
from pipeline.cross_camera.transit import TransitTimes

# People are remembered for this longer than `identity_memory_s`, or for the length of the longest tracklet so far.
_USUAL_TRACK_S = 60.0
# Columns of costs that are computed together, so that they fit into the cache of a processor.
_COLUMNS = 1024


class SecondPass:
    """Gives each finished tracklet its final link.

    Args:
        log: is told all comparisons; without it, nothing is computed for it.

    Attributes:
        people_by_class: number of people that the last `link` distinguished, by class id.
        forgotten: numbers of people whom the last `link` forgot; both are 0 if all tracklets are in one window.
    """

    def __init__(
        self,
        camera_ids: Sequence[str],
        settings: SecondPassSettings,
        linker: LinkerSettings,
        limits: LinkLimits,
        log: SecondPassLog | None = None,
    ) -> None:
        self._log = log
        self._camera_row = {camera_id: row for row, camera_id in enumerate(camera_ids)}
        self._settings = settings
        self._limits = limits
        self._linker = linker
        self.people_by_class: Counter[int] = Counter()
        self.forgotten = Forgotten()
        self._constraints = MemberConstraints(linker, TransitTimes(camera_ids, linker.transit_windows))

    def link(self, tracklets: Iterable[Tracklet]) -> dict[TrackKey, Link]:
        """Return the final links of all tracklets. Global ids count from 1 in the order in which people first appear.
        The confidence of fragments is 0.

        Args:
            tracklets: in the order in which they ended; iterated twice, first to learn the camera means.

        Raises:
            TypeError: `tracklets` is an iterator, which can be iterated only once.
        """
        if iter(tracklets) is tracklets:
            raise TypeError("tracklets are iterated twice: give a list or a TrackletFile, not an iterator")
        self.forgotten = Forgotten()
        enabled = self._limits.centred_cosine is not None
        centres = CameraCentres.of(tracklets if enabled else (), self._camera_row, enabled=enabled)
        window: list[Member] = []
        left: list[Member] = []
        done: list[Member] = []
        confidence: dict[TrackKey, float] = {}
        described: set[TrackKey] = set()
        limit = self._settings.max_tracklets_at_once
        # Tracklets come when they have ended: the next ones may have begun earlier, by the length of a tracklet.
        longest_s = _USUAL_TRACK_S
        for tracklet in tracklets:
            longest_s = max(longest_s, min(tracklet.end_s - tracklet.start_s, self._linker.identity_memory_s))
            if tracklet.good_crops:
                described.add(tracklet.key)
            window.append(self._member(tracklet, centres))
            if len(window) >= limit:
                found, left = self._find_again(self._cluster(window, confidence), left, confidence)
                found.sort(key=lambda member: member.end_s)
                window = found[-(limit // 2) :]
                left += [member.last_seen() for member in found[: -(limit // 2)]]
                forgotten, left = self._forget(left, window[-1].end_s - longest_s)
                done += [member.without_evidence() for member in forgotten]
        found, left = self._find_again(self._cluster(window, confidence), left, confidence)
        done += [*found, *left]
        if self.forgotten.surplus:
            dim = max((len(member.embedding_sum) for member in left), default=0)
            warn_of_surplus(
                self._linker,
                second_pass_limit(self._linker, limit, dim),
                self.forgotten.surplus,
                "the second pass",
            )
        done.sort(key=lambda member: member.first)
        self.people_by_class = Counter(member.class_id for member in done)
        links = {
            key: Link(global_id, confidence[key], final=True)
            for global_id, member in enumerate(done, start=1)
            for key in member.keys
        }
        # Without a rival, any choice has confidence 1, also that of a track of which nothing is known.
        links |= {key: replace(links[key], confidence=NOT_COMPARED) for key in fragments(links, described)}
        return links

    def _member(self, tracklet: Tracklet, centres: CameraCentres) -> Member:
        camera = self._camera_row[tracklet.camera_id]
        if self._log is not None:
            self._log.see(tracklet, centres.weight(camera))
        return Member(
            class_id=tracklet.class_id,
            embedding_sum=mean_embedding(centres.centred(self._describing(tracklet), camera)),
            cosine_limit=self._limits.at(centres.weight(camera)) * self._partial_factor(tracklet),
            slots=np.array([slot_of(time_s) for time_s in tracklet.floor_time_s], np.int64),
            xy_m=tracklet.floor_xy_m,
            spans=np.array([(camera, tracklet.start_s, tracklet.end_s)], np.float64),
            first=(tracklet.start_s, camera, tracklet.track_id),
            start_s=tracklet.start_s,
            end_s=tracklet.end_s,
            keys=[tracklet.key],
        )

    def _describing(self, tracklet: Tracklet) -> FloatArray:
        """Return the embeddings of a tracklet that are compared: none if it has partial crops alone and these must not
        link."""
        used = not tracklet.partial or self._linker.partial_crops_factor
        return tracklet.embeddings if used else tracklet.embeddings[:0]

    def _partial_factor(self, tracklet: Tracklet) -> float:
        return (tracklet.partial and self._linker.partial_crops_factor) or 1.0

    def _cluster(self, members: list[Member], confidence: dict[TrackKey, float]) -> list[Member]:
        """Join the members that are one person, and set the newest `confidence` of every key."""
        # The result must not depend on the order in which tracks happened to end.
        members = sorted(members, key=lambda member: member.first)
        evidence, forbidden = self._evidence(members)
        labels = constrained_linkage(deepcopy(evidence), forbidden, 1.0)
        limit_factor = self._limits.crowd_factors(_people_to_choose_from(members, labels, forbidden))
        evidence = evidence.tightened(limit_factor)
        start_s = np.array([member.start_s for member in members])
        end_s = np.array([member.end_s for member in members])
        max_absence_s = self._linker.identity_memory_s
        labels = constrained_linkage(deepcopy(evidence), forbidden, 1.0)
        labels = split_at_absences(labels, start_s, end_s, max_absence_s)
        between = evidence.with_clusters(labels)
        with_forbidden = between.copy() if self._log is not None else None
        member_of = (labels[:, None] == np.arange(len(labels))[None, :]).astype(np.float64)
        between[forbidden.astype(np.float64) @ member_of > 0] = np.inf
        for label in np.unique(labels):
            rows = labels == label
            late = np.maximum(start_s - end_s[rows].max(), start_s[rows].min() - end_s) > max_absence_s
            between[late, label] = np.inf
        if with_forbidden is not None:
            self._explain(members, labels, limit_factor, forbidden, between, with_forbidden)
        people = []
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            for row in rows:
                rivals = np.delete(between[row], label)
                if len(rows) > 1:
                    sure = posterior(between[row, label], np.append(rivals, 1.0))
                elif len(members[row].keys) > 1:
                    continue  # joined in an earlier window and unchanged in this one
                else:
                    sure = posterior(1.0, rivals)
                confidence.update(dict.fromkeys(members[row].keys, sure))
            people.append(joined([members[row] for row in rows]))
        return people

    def _find_again(
        self, members: list[Member], left: list[Member], confidence: dict[TrackKey, float]
    ) -> tuple[list[Member], list[Member]]:
        """Join members of the window with people who left it and came back, by the Hungarian method. Return the members
        and the people who are still away; set the newest `confidence` of every key."""
        if not left:
            return members, left
        cost = self._costs_between(members, left)
        pairs = assign(cost, 1.0)
        back = dict(pairs.tolist())
        found = list(members)
        for row, column in back.items():
            sure = posterior(float(cost[row, column]), np.append(np.delete(cost[row], column), 1.0))
            confidence.update(dict.fromkeys(members[row].keys, sure))
            if self._log is not None:
                group = self._group([members[row]], [left[column]], float(cost[row, column]))
                self._log.find_again(members[row].keys, group)
            found[row] = joined([left[column], members[row]])
        known = set(back.values())
        return found, [member for column, member in enumerate(left) if column not in known]

    def _costs_between(self, members: list[Member], left: list[Member]) -> NDArray[np.float64]:
        """Return the (M, L) costs, +inf where nothing is known and for pairs that must not be one person."""
        dim = max(len(member.embedding_sum) for member in [*members, *left])
        sums, left_sums = embedding_sums(members, dim), embedding_sums(left, dim)
        cosine_limit = np.array([member.cosine_limit for member in members])
        left_limit = np.array([member.cosine_limit for member in left])
        excluded = self._excluded(members, left)
        rows, columns, floor_m = floor_pairs(members, left)
        floor = np.full(excluded.shape, np.nan) if len(rows) else None
        if floor is not None:
            floor[rows, columns] = floor_m
        fast = self._constraints.too_fast(members, left)
        excluded |= fast if floor is None else fast & np.isnan(floor)
        appearance = np.full(excluded.shape, np.inf)
        for begin in range(0, len(left), _COLUMNS):
            part = slice(begin, begin + _COLUMNS)
            appearance[:, part] = embedding_distances(sums, left_sums[part])
        del left_sums
        appearance[excluded] = np.inf
        if floor is not None:
            floor[excluded] = np.nan

        def costs(limit_factor: NDArray[np.float64]) -> NDArray[np.float64]:
            result = np.empty(excluded.shape)
            for begin in range(0, len(left), _COLUMNS):
                part = slice(begin, begin + _COLUMNS)
                limits = limit_factor[:, None] * (cosine_limit[:, None] + left_limit[None, part]) / 2
                if floor is None:
                    np.divide(appearance[:, part], limits, out=result[:, part])
                    continue
                cost = combined_cost(
                    appearance[:, part],
                    floor[:, part],
                    max_cosine_distance=limits,
                    max_floor_distance_m=self._linker.max_floor_distance_m,
                    floor_weight=self._linker.floor_weight,
                )
                result[:, part] = np.where(np.isnan(cost), np.inf, cost)
            return result

        known = np.isfinite(appearance if floor is None else costs(np.ones(len(members))))
        return costs(self._limits.crowd_factors(known.sum(axis=1)))

    def _excluded(self, members: list[Member], left: list[Member]) -> BoolArray:
        """Return the (M, L) pairs that must not be one person or have no direct evidence, but for floor positions."""
        excluded = other_class(members, left) | self._constraints.impossible(members, left)
        excluded |= self._constraints.too_slow(members, left)
        start_s, end_s = np.array([m.start_s for m in members]), np.array([m.end_s for m in left])
        return np.asarray(excluded | (start_s[:, None] - end_s[None, :] > self._linker.identity_memory_s))

    def _forget(self, left: list[Member], now_s: float) -> tuple[list[Member], list[Member]]:
        """Return the people to forget (away for too long, or too many) and the others, in the order of leaving."""
        oldest_s = now_s - self._linker.identity_memory_s
        left = sorted(left, key=lambda member: member.end_s)
        recent = sum(member.end_s >= oldest_s for member in left)
        dim = max((len(member.embedding_sum) for member in left), default=0)
        keep = min(recent, second_pass_limit(self._linker, self._settings.max_tracklets_at_once, dim))
        self.forgotten += Forgotten(len(left) - recent, recent - keep)
        return left[: len(left) - keep], left[len(left) - keep :]

    # -- explaining ---------------------------------------------------------------------------------------

    def _explain(
        self,
        members: list[Member],
        labels: IntArray,
        limit_factor: NDArray[np.float64],
        forbidden: BoolArray,
        cost: NDArray[np.float64],
        with_forbidden: NDArray[np.float64],
    ) -> None:
        """Tell the log with which clusters each of N members was compared.

        Args:
            labels: (N,) clusters.
            limit_factor: (N,) by which the limit of each member was multiplied.
            forbidden: (N, N) pairs that must not be one person.
            cost: (N, N) of each member with each cluster, +inf where that is impossible.
            with_forbidden: the same without the pairs that must not be one person.
        """
        assert self._log is not None
        columns = np.unique(labels)
        clusters = {label: [members[row] for row in np.flatnonzero(labels == label)] for label in columns.tolist()}
        appearance = _appearance(members, list(clusters.values()))
        for row, member in enumerate(members):
            own_label = int(labels[row])
            own = clusters[own_label]
            if len(own) == 1 and len(member.keys) > 1:
                continue  # joined in an earlier window and unchanged in this one
            order = np.lexsort((appearance[row], with_forbidden[row, columns], np.isinf(cost[row, columns])))
            known = np.isfinite(appearance[row]) | np.isfinite(with_forbidden[row, columns])
            nearest = [label for label in columns[order[known[order]]].tolist() if label != own_label]
            groups = []
            for label in nearest[: self._log.candidates]:
                obstacle = None
                if np.isinf(cost[row, label]):
                    obstacle = self._separates([member], clusters[label]) or Obstacle.NOTHING_IN_COMMON
                elif forbidden[np.ix_(labels == own_label, labels == label)].any():
                    obstacle = Obstacle.OTHER_TRACKS
                group = self._group([member], clusters[label], float(with_forbidden[row, label]))
                groups.append(replace(group, obstacle=obstacle))
            groups.sort(key=lambda group: group.obstacle is not None)
            if len(own) > 1:
                rest = [other for other in own if other is not member]
                groups.insert(0, self._group([member], rest, float(cost[row, own_label])))
            limit = member.cosine_limit * float(limit_factor[row])
            self._log.compare(member.keys, limit, groups, joined=len(own) > 1)

    def _group(self, members: list[Member], others: list[Member], cost: float) -> Group:
        """Return how `members`, all of one person, compare with the group of `others`."""
        floor_m = floor_distances_m([*members, *others])[: len(members), len(members) :]
        known = floor_m[~np.isnan(floor_m)]
        return Group(
            key=others[0].keys[0],
            cosine_distance=finite(float(_appearance(members[:1], [others])[0, 0])),
            floor_distance_m=float(known.mean()) if len(known) else None,
            cost=finite(cost),
        )

    def _separates(self, members: list[Member], others: list[Member]) -> Obstacle | None:
        """Return the first constraint that keeps two groups apart; None if there is none."""
        both = [*members, *others]
        one, other = slice(len(members)), slice(len(members), None)
        floor_m = floor_distances_m(both)[one, other]
        starts_s, ends_s = [m.start_s for m in both], [m.end_s for m in both]
        away_s = max(
            min(starts_s[one]) - max(ends_s[other]),
            min(starts_s[other]) - max(ends_s[one]),
        )
        if members[0].class_id != others[0].class_id:
            return Obstacle.ANOTHER_CLASS
        if _share_a_view(members, others):
            return Obstacle.SAME_TIME
        if self._constraints.impossible(members, others).any():
            return Obstacle.TRANSIT_TIME
        if (floor_m > self._linker.max_floor_distance_m).any():
            return Obstacle.APART
        if (np.isnan(floor_m) & self._constraints.too_fast(members, others)).any():
            return Obstacle.TOO_FAR
        if away_s > self._linker.identity_memory_s:
            return Obstacle.ABSENCE
        return Obstacle.TRANSIT_TIME if self._constraints.too_slow(members, others).all() else None

    # -- costs and constraints ----------------------------------------------------------------------------

    def _evidence(self, members: list[Member]) -> tuple[CentroidCosts, BoolArray]:
        """Return the costs between N members, and the (N, N) pairs that must not be one person."""
        constraints = self._constraints
        floor_m = floor_distances_m(members)
        forbidden = other_class(members, members) | constraints.impossible(members, members)
        # A median over shared slots is more reliable than single positions at the image border.
        forbidden |= np.isnan(floor_m) & constraints.too_fast(members, members)
        forbidden |= floor_m > self._linker.max_floor_distance_m
        sums = embedding_sums(members)
        seen = np.asarray(sums.any(axis=1))
        says_something = (seen[:, None] & seen[None, :]) | np.asarray(~np.isnan(floor_m))
        evidence = CentroidCosts(
            sums,
            np.array([len(member.keys) for member in members], np.float64),
            np.array([member.cosine_limit for member in members]),
            floor_m,
            says_something & ~constraints.too_slow(members, members),
            max_floor_distance_m=self._linker.max_floor_distance_m,
            floor_weight=self._linker.floor_weight,
        )
        return evidence, np.asarray(forbidden)


def _people_to_choose_from(members: list[Member], labels: IntArray, forbidden: BoolArray) -> IntArray:
    """Return the (N,) number of clusters with an embedding that each member may belong to, including its own.

    Args:
        labels: (N,) clusters.
        forbidden: (N, N) pairs that must not be one person.
    """
    described = np.array([len(member.embedding_sum) > 0 for member in members], np.bool_)
    clusters = np.unique(labels[described])
    member_of = (labels[:, None] == clusters[None, :]).astype(np.float64)
    return np.asarray((forbidden.astype(np.float64) @ member_of == 0).sum(axis=1))


def _appearance(members: list[Member], clusters: list[list[Member]]) -> NDArray[np.floating[Any]]:
    """Return the (N, L) cosine distances between N members and L clusters, +inf where unknown."""
    size = max((len(member.embedding_sum) for member in [*members, *chain(*clusters)]), default=0)
    sums = embedding_sums(members, size)
    of_clusters = np.zeros((len(clusters), size))
    for row, cluster in enumerate(clusters):
        for member in cluster:
            of_clusters[row, : len(member.embedding_sum)] += member.embedding_sum
    return embedding_distances(sums, of_clusters)


def _share_a_view(members: list[Member], others: list[Member]) -> bool:
    """Return whether any two tracklets of the two groups are in one camera at the same time."""
    return any(
        camera == other_camera and start_s <= other_end_s and other_start_s <= end_s
        for member in members
        for camera, start_s, end_s in member.spans
        for other in others
        for other_camera, other_start_s, other_end_s in other.spans
    )
