"""The final ids of a recording: all finished tracklets together, clustered under the same hard constraints.

Looking back, every tracklet is known whole, so that one bad crop weighs less than it did online. Recordings with
very many tracklets are clustered in windows: what has been joined so far goes on as one member with a few
features, so memory is bounded by the window and not by the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.config import LinkerSettings, SecondPassSettings
from pipeline.cross_camera.clustering import constrained_average_linkage
from pipeline.cross_camera.distances import MIN_SHARED_SLOTS, appearance_distance, combined_cost, posterior
from pipeline.cross_camera.feature_bank import FeatureBank
from pipeline.cross_camera.floor_path import SLOT_S, slot_of
from pipeline.cross_camera.transit import TransitTimes
from pipeline.datatypes import BoolArray, FloatArray, IntArray, Link, Tracklet

TrackKey = tuple[str, int]


@dataclass(eq=False)
class _Member:
    """A tracklet, or what earlier windows joined.

    spans: (camera row, start_s, end_s) of its tracklets. first: (start_s, camera row, track id) of the earliest.
    slots, xy_m: (P,) and (P, 2), floor positions. keys: the tracklets that carry this member's identity.
    """

    class_id: int
    embeddings: FloatArray
    slots: IntArray
    xy_m: NDArray[np.float64]
    spans: list[tuple[int, float, float]]
    first: tuple[float, int, int]
    keys: list[TrackKey] = field(default_factory=list)


class SecondPass:
    """Takes tracklets in any order of their ends and gives each a final link."""

    def __init__(self, camera_ids: Sequence[str], settings: SecondPassSettings, linker: LinkerSettings) -> None:
        self._camera_row = {camera_id: row for row, camera_id in enumerate(camera_ids)}
        self._settings = settings
        self._linker = linker
        self._transit = TransitTimes(camera_ids, linker.transit_windows)

    def link(self, tracklets: Iterable[Tracklet]) -> dict[TrackKey, Link]:
        """Final links of all tracklets, given in the order in which they ended; global ids count from 1 in the
        order in which people first appear."""
        window: list[_Member] = []
        done: list[_Member] = []
        confidence: dict[TrackKey, float] = {}
        limit = self._settings.max_tracklets_at_once
        for tracklet in tracklets:
            window.append(self._member(tracklet))
            if len(window) >= limit:
                joined = self._cluster(window, confidence)
                joined.sort(key=lambda member: max(end_s for _, _, end_s in member.spans))
                done += joined[: -(limit // 2)]
                window = joined[-(limit // 2) :]
        done += self._cluster(window, confidence)
        done.sort(key=lambda member: member.first)
        return {
            key: Link(global_id, confidence[key], final=True)
            for global_id, member in enumerate(done, start=1)
            for key in member.keys
        }

    def _member(self, tracklet: Tracklet) -> _Member:
        camera = self._camera_row[tracklet.camera_id]
        return _Member(
            class_id=tracklet.class_id,
            embeddings=tracklet.embeddings,
            slots=np.array([slot_of(time_s) for time_s in tracklet.floor_time_s], np.int64),
            xy_m=tracklet.floor_xy_m,
            spans=[(camera, tracklet.start_s, tracklet.end_s)],
            first=(tracklet.start_s, camera, tracklet.track_id),
            keys=[tracklet.key],
        )

    def _cluster(self, members: list[_Member], confidence: dict[TrackKey, float]) -> list[_Member]:
        """Join the members that are one person; the newest `confidence` of every key is filled in."""
        # The result must not depend on the order in which tracks happened to end.
        members = sorted(members, key=lambda member: member.first)
        cost, forbidden = self._costs(members)
        labels, between = constrained_average_linkage(cost, forbidden, 1.0)
        joined = []
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            rivals = between[label]
            for row in rows:
                own = cost[row, rows]
                own = own[~np.isnan(own)]
                if len(rows) > 1 and len(own):
                    sure = posterior(float(own.mean()), np.append(rivals, 1.0))
                elif len(members[row].keys) > 1:
                    continue  # joined in an earlier window and untouched in this one
                else:
                    sure = posterior(1.0, rivals)
                confidence.update(dict.fromkeys(members[row].keys, sure))
            joined.append(self._join([members[row] for row in rows]))
        return joined

    def _join(self, members: list[_Member]) -> _Member:
        if len(members) == 1:
            return members[0]
        bank = FeatureBank(self._linker.features_per_identity, self._linker.feature_max_similarity)
        for member in members:
            for embedding in member.embeddings:
                bank.add(embedding)
        # Positions of one slot may come from several cameras; each is one view of where the person stood.
        order = np.argsort(np.concatenate([member.slots for member in members]), kind="stable")
        return _Member(
            class_id=members[0].class_id,
            embeddings=bank.embeddings,
            slots=np.concatenate([member.slots for member in members])[order],
            xy_m=np.concatenate([member.xy_m for member in members])[order],
            spans=[span for member in members for span in member.spans],
            first=min(member.first for member in members),
            keys=[key for member in members for key in member.keys],
        )

    # -- costs and constraints ----------------------------------------------------------------------------

    def _costs(self, members: list[_Member]) -> tuple[NDArray[np.float64], BoolArray]:
        """(N, N) costs, NaN where nothing is known, and (N, N) pairs that must not be one person."""
        class_id = np.array([member.class_id for member in members], np.int64)
        forbidden = class_id[:, None] != class_id[None, :]
        impossible, too_slow = self._span_constraints(members)
        forbidden |= impossible | self._too_fast(members)
        floor_m = _floor_distances_m(members)
        look = _appearance_distances(members)
        cost = combined_cost(
            look,
            floor_m,
            max_cosine_distance=self._settings.max_cosine_distance,
            max_floor_distance_m=self._linker.max_floor_distance_m,
            floor_weight=self._linker.floor_weight,
        )
        forbidden |= floor_m > self._linker.max_floor_distance_m
        unknown = (np.isinf(look) & np.isnan(floor_m)) | too_slow
        return np.where(unknown | np.isinf(cost), np.nan, cost), np.asarray(forbidden)

    def _span_constraints(self, members: list[_Member]) -> tuple[BoolArray, BoolArray]:
        """(N, N) pairs seen twice at one time in a camera or faster elsewhere than transit times allow, and pairs
        whose only connection is slower than they allow."""
        owner = np.array([row for row, member in enumerate(members) for _ in member.spans], np.int64)
        spans = [span for member in members for span in member.spans]
        camera = np.array([span[0] for span in spans], np.int64)
        start_s = np.array([span[1] for span in spans])
        end_s = np.array([span[2] for span in spans])
        overlap = (start_s[:, None] <= end_s[None, :]) & (start_s[None, :] <= end_s[:, None])
        same_camera = camera[:, None] == camera[None, :]
        gap_s = start_s[None, :] - end_s[:, None]
        ordered = (start_s[:, None] <= start_s[None, :]) & ~same_camera
        too_early = ordered & (gap_s < self._transit.min_s[camera[:, None], camera[None, :]])
        too_late = ordered & (gap_s > self._transit.max_s[camera[:, None], camera[None, :]])
        impossible = _by_owner((overlap & same_camera) | too_early, owner, len(members))
        # Another camera may have seen the person in between, so a long time only takes away the direct evidence.
        several = np.bincount(owner, minlength=len(members)) > 1
        slow = _by_owner(too_late, owner, len(members)) & ~several[:, None] & ~several[None, :]
        return impossible | impossible.T, slow | slow.T

    def _too_fast(self, members: list[_Member]) -> BoolArray:
        """(N, N) pairs between whose floor positions nobody could have walked in time."""
        placed = [row for row, member in enumerate(members) if len(member.slots)]
        result = np.zeros((len(members), len(members)), np.bool_)
        if not placed:
            return result
        first = np.array([members[row].slots[0] for row in placed]) * SLOT_S
        last = np.array([members[row].slots[-1] for row in placed]) * SLOT_S
        first_xy = np.stack([members[row].xy_m[0] for row in placed])
        last_xy = np.stack([members[row].xy_m[-1] for row in placed])
        gap_s = first[None, :] - last[:, None]
        distance_m = np.linalg.norm(last_xy[:, None] - first_xy[None, :], axis=-1)
        needed_s = (distance_m - self._linker.max_floor_distance_m) / self._linker.max_speed_m_s
        fast = (gap_s > 0) & (needed_s > gap_s)
        result[np.ix_(placed, placed)] = fast | fast.T
        return result


def _by_owner(spans: BoolArray, owner: IntArray, count: int) -> BoolArray:
    """(N, N) whether any pair of spans of two members is True in `spans` (S, S)."""
    result = np.zeros((count, count), np.bool_)
    rows, columns = np.nonzero(spans)
    result[owner[rows], owner[columns]] = True
    np.fill_diagonal(result, False)
    return result


def _appearance_distances(members: list[_Member]) -> NDArray[np.float64]:
    """(N, N) cosine distances, +inf where a member has no embedding."""
    count = len(members)
    width = max((len(member.embeddings) for member in members), default=0)
    distances = np.full((count, count), np.inf)
    if not width:
        return distances
    dim = next(member.embeddings.shape[1] for member in members if len(member.embeddings))
    features = np.zeros((count, width, dim), np.float32)
    valid = np.zeros((count, width), np.bool_)
    for row, member in enumerate(members):
        features[row, : len(member.embeddings)] = member.embeddings.reshape(-1, dim)
        valid[row, : len(member.embeddings)] = True
    for row, member in enumerate(members):
        distances[row] = appearance_distance(member.embeddings, features, valid)
    return np.asarray(np.minimum(distances, distances.T))


def _floor_distances_m(members: list[_Member]) -> NDArray[np.float64]:
    """(N, N) median distances at the same times, NaN with too few shared time slots."""
    distances = np.full((len(members), len(members)), np.nan)
    placed = [row for row, member in enumerate(members) if len(member.slots)]
    for index, a in enumerate(placed):
        for b in placed[index + 1 :]:
            first, second = members[a], members[b]
            if first.slots[-1] < second.slots[0] or second.slots[-1] < first.slots[0]:
                continue
            _, rows_a, rows_b = np.intersect1d(first.slots, second.slots, return_indices=True)
            if len(rows_a) >= MIN_SHARED_SLOTS:
                apart = np.linalg.norm(first.xy_m[rows_a] - second.xy_m[rows_b], axis=1)
                distances[a, b] = distances[b, a] = float(np.median(apart))
    return distances
