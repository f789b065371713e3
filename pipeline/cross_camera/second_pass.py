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
from dataclasses import dataclass, field, replace
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
from pipeline.cross_camera.distances import MIN_SHARED_SLOTS, embedding_distances, mean_embedding, posterior
from pipeline.cross_camera.floor_path import SLOT_S, slot_of
from pipeline.cross_camera.fragments import NOT_COMPARED, fragments
from pipeline.cross_camera.identity_limit import Forgotten, second_pass_limit, warn_of_surplus
from pipeline.cross_camera.match_limits import LinkLimits
from pipeline.cross_camera.second_pass_log import Group, SecondPassLog
from pipeline.cross_camera.settings import LinkerSettings, SecondPassSettings
from pipeline.cross_camera.transit import TransitTimes

# Floor positions that a member keeps when it is joined with others: the newest four minutes or more.
_MEMBER_SLOTS = 1024
# The same for a member that has left the window: its last positions.
_LEFT_SLOTS = 40


@dataclass(eq=False)
class _Member:
    """A tracklet, or several that were joined in earlier windows.

    embedding_sum: (D,) sum of its tracklets' mean embeddings, centred with their camera means; empty without any.
    cosine_limit: its match limit. spans: (camera row, start_s, end_s) of its tracklets.
    first: (start_s, camera row, track id) of the earliest. slots, xy_m: (P,) and (P, 2), floor positions, slots
    ascending. keys: the tracklets of this member's identity.
    """

    class_id: int
    embedding_sum: FloatArray
    cosine_limit: float
    slots: IntArray
    xy_m: NDArray[np.float64]
    spans: list[tuple[int, float, float]]
    first: tuple[float, int, int]
    keys: list[TrackKey] = field(default_factory=list)

    @property
    def start_s(self) -> float:
        return min(start_s for _, start_s, _ in self.spans)

    @property
    def end_s(self) -> float:
        return max(end_s for _, _, end_s in self.spans)


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
        self._transit = TransitTimes(camera_ids, linker.transit_windows)

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
        window: list[_Member] = []
        left: list[_Member] = []
        done: list[_Member] = []
        confidence: dict[TrackKey, float] = {}
        described: set[TrackKey] = set()
        limit = self._settings.max_tracklets_at_once
        for tracklet in tracklets:
            if tracklet.good_crops:
                described.add(tracklet.key)
            window.append(self._member(tracklet, centres))
            if len(window) >= limit:
                joined, left = self._find_again(self._cluster(window, confidence), left, confidence)
                joined.sort(key=lambda member: member.end_s)
                window = joined[-(limit // 2) :]
                left += [_last_seen(member) for member in joined[: -(limit // 2)]]
                forgotten, left = self._forget(left, window[-1].end_s)
                done += [_without_evidence(member) for member in forgotten]
        joined, left = self._find_again(self._cluster(window, confidence), left, confidence)
        done += [*joined, *left]
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

    def _member(self, tracklet: Tracklet, centres: CameraCentres) -> _Member:
        camera = self._camera_row[tracklet.camera_id]
        if self._log is not None:
            self._log.see(tracklet, centres.weight(camera))
        return _Member(
            class_id=tracklet.class_id,
            embedding_sum=mean_embedding(centres.centred(self._describing(tracklet), camera)),
            cosine_limit=self._limits.at(centres.weight(camera)) * self._partial_factor(tracklet),
            slots=np.array([slot_of(time_s) for time_s in tracklet.floor_time_s], np.int64),
            xy_m=tracklet.floor_xy_m,
            spans=[(camera, tracklet.start_s, tracklet.end_s)],
            first=(tracklet.start_s, camera, tracklet.track_id),
            keys=[tracklet.key],
        )

    def _describing(self, tracklet: Tracklet) -> FloatArray:
        """Return the embeddings of a tracklet that are compared: none if it has partial crops alone and these must not
        link."""
        used = not tracklet.partial or self._linker.partial_crops_factor
        return tracklet.embeddings if used else tracklet.embeddings[:0]

    def _partial_factor(self, tracklet: Tracklet) -> float:
        return (tracklet.partial and self._linker.partial_crops_factor) or 1.0

    def _cluster(self, members: list[_Member], confidence: dict[TrackKey, float]) -> list[_Member]:
        """Join the members that are one person, and set the newest `confidence` of every key."""
        # The result must not depend on the order in which tracks happened to end.
        members = sorted(members, key=lambda member: member.first)
        evidence, forbidden = self._evidence(members)
        labels = constrained_linkage(deepcopy(evidence), forbidden, 1.0)
        people = _people_to_choose_from(members, labels, forbidden)
        limit_factor = self._limits.crowd_factors(people)
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
        joined = []
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
            joined.append(self._join([members[row] for row in rows]))
        return joined

    def _find_again(
        self, members: list[_Member], left: list[_Member], confidence: dict[TrackKey, float]
    ) -> tuple[list[_Member], list[_Member]]:
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
            found[row] = self._join([left[column], members[row]])
        known = set(back.values())
        return found, [member for column, member in enumerate(left) if column not in known]

    def _costs_between(self, members: list[_Member], left: list[_Member]) -> NDArray[np.float64]:
        """Return the (M, L) costs, +inf where nothing is known and for pairs that must not be one person. They are
        computed in blocks no larger than a window."""
        few = self._costs_at(members, left, np.ones(len(members)))
        return self._costs_at(members, left, self._limits.crowd_factors(np.isfinite(few).sum(axis=1)))

    def _costs_at(
        self, members: list[_Member], left: list[_Member], limit_factor: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the costs as `_costs_between`, with the limits multiplied by `limit_factor` (M,)."""
        block = max(self._settings.max_tracklets_at_once // 2, 1)
        result = np.full((len(members), len(left)), np.inf)
        for top in range(0, len(members), block):
            rows = members[top : top + block]
            for begin in range(0, len(left), block):
                columns = left[begin : begin + block]
                evidence, forbidden = self._evidence([*rows, *columns])
                factors = limit_factor[top : top + block].tolist()
                cost = np.stack([evidence.costs(row, factor) for row, factor in enumerate(factors)])
                cost[forbidden[: len(rows)]] = np.inf
                result[top : top + block, begin : begin + block] = cost[:, len(rows) :]
        away_s = np.array([m.start_s for m in members])[:, None] - np.array([m.end_s for m in left])[None, :]
        result[away_s > self._linker.identity_memory_s] = np.inf
        return result

    def _forget(self, left: list[_Member], now_s: float) -> tuple[list[_Member], list[_Member]]:
        """Return the people to forget (away for too long, or too many) and the others, in the order of leaving."""
        left = sorted(left, key=lambda member: member.end_s)
        oldest_s = now_s - self._linker.identity_memory_s
        recent = sum(member.end_s >= oldest_s for member in left)
        dim = max((len(member.embedding_sum) for member in left), default=0)
        keep = min(recent, second_pass_limit(self._linker, self._settings.max_tracklets_at_once, dim))
        self.forgotten += Forgotten(len(left) - recent, recent - keep)
        return left[: len(left) - keep], left[len(left) - keep :]

    def _join(self, members: list[_Member]) -> _Member:
        if len(members) == 1:
            return members[0]
        sums = [member.embedding_sum for member in members if len(member.embedding_sum)]
        # Positions of one slot may come from several cameras; each is an estimate of where the person stood.
        slots, place = np.unique(np.concatenate([member.slots for member in members]), return_inverse=True)
        xy_m = np.zeros((len(slots), 2))
        np.add.at(xy_m, place, np.concatenate([member.xy_m for member in members]))
        xy_m /= np.bincount(place, minlength=len(slots))[:, None]
        return _Member(
            class_id=members[0].class_id,
            embedding_sum=np.sum(sums, axis=0) if sums else members[0].embedding_sum,
            cosine_limit=float(
                np.average(
                    [member.cosine_limit for member in members], weights=[len(member.keys) for member in members]
                )
            ),
            slots=slots[-_MEMBER_SLOTS:],
            xy_m=xy_m[-_MEMBER_SLOTS:],
            spans=[span for member in members for span in member.spans],
            first=min(member.first for member in members),
            keys=[key for member in members for key in member.keys],
        )

    # -- explaining ---------------------------------------------------------------------------------------

    def _explain(
        self,
        members: list[_Member],
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

    def _group(self, members: list[_Member], others: list[_Member], cost: float) -> Group:
        """Return how `members`, all of one person, compare with the group of `others`."""
        floor_m = _floor_distances_m([*members, *others])[: len(members), len(members) :]
        known = floor_m[~np.isnan(floor_m)]
        return Group(
            key=others[0].keys[0],
            cosine_distance=finite(float(_appearance(members[:1], [others])[0, 0])),
            floor_distance_m=float(known.mean()) if len(known) else None,
            cost=finite(cost),
        )

    def _separates(self, members: list[_Member], others: list[_Member]) -> Obstacle | None:
        """Return the first constraint that keeps two groups apart; None if there is none."""
        both = [*members, *others]
        one, other = slice(len(members)), slice(len(members), None)
        impossible, slow = self._span_constraints(both)
        floor_m = _floor_distances_m(both)[one, other]
        starts_s, ends_s = [m.start_s for m in both], [m.end_s for m in both]
        away_s = max(
            min(starts_s[one]) - max(ends_s[other]),
            min(starts_s[other]) - max(ends_s[one]),
        )
        if members[0].class_id != others[0].class_id:
            return Obstacle.ANOTHER_CLASS
        if _share_a_view(members, others):
            return Obstacle.SAME_TIME
        if impossible[one, other].any():
            return Obstacle.TRANSIT_TIME
        if (floor_m > self._linker.max_floor_distance_m).any():
            return Obstacle.APART
        if (np.isnan(floor_m) & self._too_fast(both)[one, other]).any():
            return Obstacle.TOO_FAR
        if away_s > self._linker.identity_memory_s:
            return Obstacle.ABSENCE
        return Obstacle.TRANSIT_TIME if slow[one, other].all() else None

    # -- costs and constraints ----------------------------------------------------------------------------

    def _evidence(self, members: list[_Member]) -> tuple[CentroidCosts, BoolArray]:
        """Return the costs between N members, and the (N, N) pairs that must not be one person."""
        class_id = np.array([member.class_id for member in members], np.int64)
        forbidden = class_id[:, None] != class_id[None, :]
        impossible, too_slow = self._span_constraints(members)
        floor_m = _floor_distances_m(members)
        # A median over shared slots is more reliable than single positions at the image border.
        forbidden = forbidden | impossible | (np.isnan(floor_m) & self._too_fast(members))
        forbidden |= floor_m > self._linker.max_floor_distance_m
        sums = np.zeros((len(members), max((len(member.embedding_sum) for member in members), default=0)))
        for row, member in enumerate(members):
            sums[row, : len(member.embedding_sum)] = member.embedding_sum
        seen = np.asarray(sums.any(axis=1))
        says_something = (seen[:, None] & seen[None, :]) | np.asarray(~np.isnan(floor_m))
        evidence = CentroidCosts(
            sums,
            np.array([len(member.keys) for member in members], np.float64),
            np.array([member.cosine_limit for member in members]),
            floor_m,
            says_something & ~too_slow,
            max_floor_distance_m=self._linker.max_floor_distance_m,
            floor_weight=self._linker.floor_weight,
        )
        return evidence, np.asarray(forbidden)

    def _span_constraints(self, members: list[_Member]) -> tuple[BoolArray, BoolArray]:
        """Return two (N, N) masks: pairs that are impossible, and pairs whose only connection takes longer than transit
        times allow.

        A pair is impossible if both are in one camera at the same time, or in two cameras sooner after each other than
        transit times allow.
        """
        count = len(members)
        owner = np.array([row for row, member in enumerate(members) for _ in member.spans], np.int64)
        camera, start_s, end_s = _columns([span for member in members for span in member.spans])
        impossible = np.zeros((count, count), np.bool_)
        for there in np.unique(camera):
            spans = np.flatnonzero(camera == there)
            spans = spans[np.argsort(start_s[spans], kind="stable")]
            same = camera == there
            # Find the spans of camera `there` that begin during [start, end] of a span in the same camera, or during
            # [start, end + shortest transit) of a span in another camera.
            begin_s = start_s[spans]
            first = np.searchsorted(begin_s, start_s, "left")
            after = np.searchsorted(begin_s, end_s + self._transit.min_s[camera, there], "left")
            after[same] = np.searchsorted(begin_s, end_s[same], "right")
            rows, places = _ranges(first, after)
            impossible[owner[rows], owner[spans[places]]] = True
        np.fill_diagonal(impossible, False)
        # Another camera may have seen the person in between, so a long time only removes the direct evidence.
        single = [row for row, member in enumerate(members) if len(member.spans) == 1]
        camera, start_s, end_s = _columns([members[row].spans[0] for row in single])
        gap_s = start_s[None, :] - end_s[:, None]
        late = gap_s > self._transit.max_s[camera[:, None], camera[None, :]]
        slow = np.zeros((count, count), np.bool_)
        slow[np.ix_(single, single)] = late | late.T
        return impossible | impossible.T, slow

    def _too_fast(self, members: list[_Member]) -> BoolArray:
        """Return the (N, N) pairs between whose floor positions nobody could have walked in time."""
        placed = [row for row, member in enumerate(members) if len(member.slots)]
        result = np.zeros((len(members), len(members)), np.bool_)
        if not placed:
            return result
        first = np.array([members[row].slots[0] for row in placed]) * SLOT_S
        last = np.array([members[row].slots[-1] for row in placed]) * SLOT_S
        first_xy = np.stack([members[row].xy_m[0] for row in placed])
        last_xy = np.stack([members[row].xy_m[-1] for row in placed])
        # Either position may be the earlier one. Positions of the same slot may be up to one slot apart in time.
        gap_s = np.maximum(np.abs(first[None, :] - last[:, None]), SLOT_S)
        distance_m = np.linalg.norm(last_xy[:, None] - first_xy[None, :], axis=-1)
        needed_s = (distance_m - self._linker.max_floor_distance_m) / self._linker.max_speed_m_s
        fast = needed_s > gap_s
        np.fill_diagonal(fast, False)
        result[np.ix_(placed, placed)] = fast | fast.T
        return result


def _people_to_choose_from(members: list[_Member], labels: IntArray, forbidden: BoolArray) -> IntArray:
    """Return the (N,) number of clusters with an embedding that each member may belong to, including its own.

    Args:
        labels: (N,) clusters.
        forbidden: (N, N) pairs that must not be one person.
    """
    described = np.array([len(member.embedding_sum) > 0 for member in members], np.bool_)
    clusters = np.unique(labels[described])
    member_of = (labels[:, None] == clusters[None, :]).astype(np.float64)
    return np.asarray((forbidden.astype(np.float64) @ member_of == 0).sum(axis=1))


def _appearance(members: list[_Member], clusters: list[list[_Member]]) -> NDArray[np.floating[Any]]:
    """Return the (N, L) cosine distances between N members and L clusters, +inf where unknown."""
    size = max((len(member.embedding_sum) for member in [*members, *chain(*clusters)]), default=0)
    sums = np.zeros((len(members), size))
    of_clusters = np.zeros((len(clusters), size))
    for row, member in enumerate(members):
        sums[row, : len(member.embedding_sum)] = member.embedding_sum
    for row, cluster in enumerate(clusters):
        for member in cluster:
            of_clusters[row, : len(member.embedding_sum)] += member.embedding_sum
    return embedding_distances(sums, of_clusters)


def _share_a_view(members: list[_Member], others: list[_Member]) -> bool:
    """Return whether any two tracklets of the two groups are in one camera at the same time."""
    return any(
        camera == other_camera and start_s <= other_end_s and other_start_s <= end_s
        for member in members
        for camera, start_s, end_s in member.spans
        for other in others
        for other_camera, other_start_s, other_end_s in other.spans
    )


def _last_seen(member: _Member) -> _Member:
    """Return the member with its last floor positions only."""
    return replace(member, slots=member.slots[-_LEFT_SLOTS:].copy(), xy_m=member.xy_m[-_LEFT_SLOTS:].copy())


def _without_evidence(member: _Member) -> _Member:
    """Return the member with what its links need only, so that a long recording keeps no embeddings."""
    return replace(
        member,
        embedding_sum=np.zeros(0, member.embedding_sum.dtype),
        slots=np.zeros(0, np.int64),
        xy_m=np.zeros((0, 2)),
        spans=[],
    )


def _columns(
    spans: list[tuple[int, float, float]],
) -> tuple[IntArray, NDArray[np.float64], NDArray[np.float64]]:
    """Return the camera rows, starts and ends of S spans, each (S,)."""
    table = np.array(spans, np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1], table[:, 2]


def _ranges(first: IntArray, after: IntArray) -> tuple[IntArray, IntArray]:
    """Return every (row, place) with first[row] <= place < after[row], as two arrays."""
    lengths = np.maximum(after - first, 0)
    rows = np.repeat(np.arange(len(first)), lengths)
    begins = np.cumsum(lengths) - lengths
    return rows, np.arange(len(rows)) - begins[rows] + first[rows]


def _floor_distances_m(members: list[_Member]) -> NDArray[np.float64]:
    """Return the (N, N) median distances at the same times, NaN with too few shared time slots."""
    count = len(members)
    distances = np.full((count, count), np.nan)
    slots = np.concatenate([member.slots for member in members]) if members else np.zeros(0, np.int64)
    if not len(slots):
        return distances
    order = np.argsort(slots, kind="stable")
    slots = slots[order]
    owner = np.repeat(np.arange(count), [len(member.slots) for member in members])[order]
    xy_m = np.concatenate([member.xy_m for member in members])[order]
    # Positions of one slot are now adjacent: compare neighbours, then next but one, and so on up to the fullest slot.
    pairs, apart_m = [], []
    for step in range(1, len(slots)):
        left = np.flatnonzero(slots[step:] == slots[:-step])
        if not len(left):
            break
        pairs.append(owner[left] * count + owner[left + step])
        apart_m.append(np.linalg.norm(xy_m[left] - xy_m[left + step], axis=1))
    if not pairs:
        return distances
    pair, apart = np.concatenate(pairs), np.concatenate(apart_m)
    order = np.lexsort((apart, pair))
    pair, apart = pair[order], apart[order]
    found, begin, shared = np.unique(pair, return_index=True, return_counts=True)
    median = (apart[begin + (shared - 1) // 2] + apart[begin + shared // 2]) / 2
    found, median = found[shared >= MIN_SHARED_SLOTS], median[shared >= MIN_SHARED_SLOTS]
    a, b = np.divmod(found, count)
    distances[a, b] = distances[b, a] = median
    return distances
