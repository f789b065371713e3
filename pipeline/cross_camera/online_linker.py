"""Links tracks of different cameras to identities while the video runs.

In each camera, the tracks that are ready and undecided are matched to the known identities by the Hungarian
method; a track can also stay alone. There is one assignment per camera, not one over all: two overlapping cameras
must be able to give the same person the same identity at the same time.

Hard constraints come first: an identity at most once per camera at a time, transit times, floor positions that
cannot be one person. Then appearance decides, with the floor distance where both views see the floor. A track
with two nearly equal candidates waits for more crops. A track with a single good crop is compared only with people
whom another camera saw last, and to a lower limit; it becomes a new person only with more crops, when it ends, or
after the longest wait. A track whose candidate has a lost track in the same camera waits until that track ends,
because it may be recovered.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.assignment import assign
from pipeline.core.datatypes import BoolArray, Correction, FloatArray, Link
from pipeline.core.decisions import Obstacle, Outcome, Reason
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.comparison import Comparison
from pipeline.cross_camera.decision_log import DecisionLog
from pipeline.cross_camera.distances import MIN_SHARED_SLOTS, combined_cost, mean_embedding, posterior
from pipeline.cross_camera.feature_bank import FeatureBank
from pipeline.cross_camera.floor_path import SLOT_S, FloorPath
from pipeline.cross_camera.fragments import NOT_COMPARED
from pipeline.cross_camera.gallery import Gallery
from pipeline.cross_camera.gallery_distances import GalleryDistances
from pipeline.cross_camera.identities import IdentityTable
from pipeline.cross_camera.identity_limit import Forgotten, online_limit, warn_of_surplus
from pipeline.cross_camera.match_limits import LinkLimits
from pipeline.cross_camera.settings import LinkerSettings, TransitWindow
from pipeline.cross_camera.track_record import TrackRecord
from pipeline.cross_camera.transit import TransitTimes
from pipeline.single_camera.tracker import TrackedFrame

Array = NDArray[np.floating[Any]]
_log = logging.getLogger(__name__)

# Slots of a live track's path: enough for `MIN_SHARED_SLOTS` with every camera, and a summary of a long stay.
_PATH_SLOTS = 64
# A candidate whose cost exceeds the limit by this factor will not match with more crops either: the person is new.
_HOPELESS_COST = 1.25
# Partial crops of a track without a good one, after which it is compared.
_ENOUGH_PARTIAL_CROPS = 2
# Identities whose features are centred again in one tick, after a camera mean has changed: a few milliseconds of work.
# With more of them, the others follow within the next ticks.
_CENTRED_A_TICK = 64
# Forgetting goes through all live tracks; once a second is often enough.
_FORGET_INTERVAL_S = 1.0
_ENDED = {Reason.FEW_CROPS: Reason.ENDED_FEW_CROPS, Reason.FEW_POSITIONS: Reason.ENDED_FEW_POSITIONS}


@dataclass(frozen=True, eq=False)
class ObservedTracks:
    """The records of the tracks in a frame, in the order of its track_ids, and of the tracks that ended."""

    seen: list[TrackRecord]
    ended: list[TrackRecord]


@dataclass(frozen=True, eq=False)
class _Choices:
    """The identities that R tracks of a camera may join.

    Attributes:
        cost: (R, I) cost of joining each identity, relative to the track's limit; +inf where that is impossible.
        placed: (R, I), whether floor positions at the same time are part of the cost.
        held: (R,) least cost among the identities that only a lost track of this camera still holds.
        limit: (R,) match limits on cosine distances.
        taken: (I,) whether a track of this camera has the identity.
        compared: the tracks with all identities.
    """

    cost: Array
    placed: BoolArray
    held: Array
    limit: Array
    taken: BoolArray
    compared: list[Comparison]


class OnlineLinker:
    """Gives tracks global ids, counted from 1.

    Args:
        decisions_are_final: whether links are marked as final, because no second pass follows.
        on_correction: called with a correction for each track that joins a known identity after its rows may have been
            released with a provisional id.
        log: is told every decision; without it, nothing is computed for it.

    Attributes:
        forgotten: numbers of identities forgotten so far.
    """

    def __init__(
        self,
        camera_ids: Sequence[str],
        settings: LinkerSettings,
        limits: LinkLimits,
        *,
        decisions_are_final: bool = False,
        on_correction: Callable[[Correction], None] | None = None,
        log: DecisionLog | None = None,
    ) -> None:
        self._decisions_are_final = decisions_are_final
        self._log = log
        self._on_correction = on_correction
        self._camera_row = {camera_id: row for row, camera_id in enumerate(camera_ids)}
        self._settings = settings
        self._limits = limits
        self._transit = TransitTimes(camera_ids, settings.transit_windows)
        self._centres = CameraCentres(len(camera_ids), enabled=limits.centred_cosine is not None, borrow=True)
        self._identities = IdentityTable(
            len(camera_ids), settings.features_per_identity, settings.feature_max_similarity, self._centres
        )
        self._distances = GalleryDistances(
            self._identities,
            self._centred_mean,
            lambda record: int(self._centres.version[self._camera_row[record.camera_id]]),
        )
        self._live: dict[str, dict[int, TrackRecord]] = {camera_id: {} for camera_id in camera_ids}
        self._next_id = 1
        self._people: Counter[int] = Counter()
        self._undecided_ids: dict[TrackRecord, int] = {}
        self._forgot_s = -np.inf
        self.forgotten = Forgotten()

    @property
    def known_identities(self) -> int:
        """Number of identities in memory."""
        return len(self._identities)

    @property
    def max_identities(self) -> int:
        """Largest number of identities in memory, besides those in view."""
        return online_limit(self._settings, len(self._camera_row), self._identities.embedding_dim)

    @property
    def features_per_identity(self) -> float:
        """Mean number of embeddings of an identity in memory."""
        return float(self._identities.has_feature.sum()) / max(len(self._identities), 1)

    @property
    def people(self) -> int:
        """Number of people distinguished so far, including forgotten ones; ids of undecided tracks do not count."""
        return self._people.total()

    @property
    def people_by_class(self) -> dict[int, int]:
        """The same, by class id."""
        return dict(self._people)

    @property
    def in_view(self) -> int:
        """Number of known people that a track follows at the moment."""
        return len(self._active())

    def set_cameras(self, camera_ids: Sequence[str], windows: Sequence[TransitWindow]) -> None:
        """Add cameras, or change transit times. Cameras that are left out give no more frames, but the people they
        saw are remembered."""
        for camera_id in camera_ids:
            if camera_id not in self._camera_row:
                self._camera_row[camera_id] = len(self._camera_row)
                self._live[camera_id] = {}
                self._identities.add_camera()
                self._centres.add_camera()
        known = [window for window in windows if {window.from_camera, window.to_camera} <= set(self._camera_row)]
        self._transit = TransitTimes(list(self._camera_row), known)

    def gallery(self) -> Gallery:
        """Return a copy of the known identities, to be kept over a restart."""
        return self._identities.gallery(list(self._camera_row), self._next_id)

    def restore(self, gallery: Gallery) -> None:
        """Load the identities of `gallery`; no id used before is given again. Call this before the first frame."""
        self.set_cameras(gallery.camera_ids, self._settings.transit_windows)
        columns = [self._camera_row[camera_id] for camera_id in gallery.camera_ids]
        self._centres.restore(gallery.centres, columns)
        self._identities.restore(gallery, columns)
        self._next_id = max(self._next_id, gallery.next_id)

    def observe(
        self, frames: Sequence[tuple[TrackedFrame, NDArray[np.float64] | None]]
    ) -> dict[str, ObservedTracks]:
        """Process one tick: a frame of each camera that has one; ticks must come in order of time.

        Args:
            frames: results of the cameras' trackers, each with the (M, 2) floor positions of its tracks in metres, or
                None without a homography.

        Returns:
            The records by camera id. They do not depend on the order of `frames`.
        """
        frames = sorted(frames, key=lambda frame: frame[0].camera_id)
        seen = {tracked.camera_id: self._take_in(tracked, floor_xy_m) for tracked, floor_xy_m in frames}
        ready = {
            tracked.camera_id: [
                record
                for record in seen[tracked.camera_id]
                if record.link is None and self._is_ready(record, tracked.time_s)
            ]
            for tracked, _ in frames
        }
        self._identities.centre(_CENTRED_A_TICK, means_changed=self._centres.refresh())
        if self._log is not None:
            for tracked, _ in frames:
                self._log_unready(seen[tracked.camera_id], tracked.time_s)
        self._distances.prepare([record for records in ready.values() for record in records])
        result = {}
        for tracked, _ in frames:
            camera_id = tracked.camera_id
            self._decide(camera_id, ready[camera_id], tracked.time_s)
            result[camera_id] = ObservedTracks(seen[camera_id], self.end(camera_id, tracked.ended))
        if frames:
            self.forget(max(tracked.time_s for tracked, _ in frames))
        return result

    def end(self, camera_id: str, track_ids: Sequence[int]) -> list[TrackRecord]:
        """End these tracks and return their records."""
        live = self._live[camera_id]
        records = [live.pop(track_id) for track_id in track_ids if track_id in live]
        for record in records:
            self._settle(record)
        return records

    def link_of(self, record: TrackRecord) -> Link:
        """Return the track's current link. An undecided track gets its own provisional id. It keeps this id if it
        becomes a new identity; otherwise no other track gets the id."""
        if record.link is not None:
            return record.link
        if record not in self._undecided_ids:
            self._undecided_ids[record] = self._take_id()
        return Link(self._undecided_ids[record], 0.0)

    def finish(self) -> list[TrackRecord]:
        """End all live tracks, at the end of the recording; return their records."""
        return [r for camera_id, live in self._live.items() for r in self.end(camera_id, list(live))]

    # -- observing ----------------------------------------------------------------------------------------

    def _take_in(self, tracked: TrackedFrame, floor_xy_m: NDArray[np.float64] | None) -> list[TrackRecord]:
        """Update and return the records of the tracks in a frame."""
        live = self._live[tracked.camera_id]
        seen = []
        embeddings = tracked.detections.embeddings
        fit, in_part = _embedded(tracked, tracked.good_crop), _embedded(tracked, tracked.partial_crop)
        for row, track_id in enumerate(tracked.track_ids.tolist()):
            record = live.get(track_id)
            if record is None:
                record = live[track_id] = self._record(tracked, row)
            record.last_s = tracked.time_s
            record.observations += 1
            if record.still != bool(tracked.still[row]):
                self._change_stillness(record)
            if floor_xy_m is not None:
                self._stand(record, tracked.time_s, floor_xy_m[row])
            if embeddings is not None and fit[row]:
                self._add_embedding(record, embeddings[row])
            elif embeddings is not None and in_part[row] and not record.good_crops:
                record.partial_crops += 1
                record.partial_bank.add(embeddings[row])
            if record.known_s > tracked.time_s and (
                len(record.floor) or record.good_crops or record.partial_crops
            ):
                record.known_s = tracked.time_s
            seen.append(record)
        linked = [record.link.global_id for record in seen if record.link]
        self._identities.see(linked, self._camera_row[tracked.camera_id], tracked.time_s)
        return seen

    def _change_stillness(self, record: TrackRecord) -> None:
        record.still = not record.still
        _log.info(
            "camera %s: track %d %s",
            record.camera_id,
            record.track_id,
            "has never moved and is left out (tracker.leave_out_still)"
            if record.still
            else "has moved, and counts",
        )
        if self._log is not None and record.still:
            self._note(record, record.last_s, Outcome.LEFT_OUT, Reason.NEVER_MOVED)
        elif self._log is not None:
            self._note(record, record.last_s, Outcome.TAKEN_BACK, Reason.MOVED)

    def _record(self, tracked: TrackedFrame, row: int) -> TrackRecord:
        settings = self._settings
        track_id = int(tracked.track_ids[row])
        earlier = tracked.earlier.get(track_id, [])
        return TrackRecord(
            camera_id=tracked.camera_id,
            track_id=track_id,
            class_id=int(tracked.detections.class_id[row]),
            start_s=earlier[0].time_s if earlier else tracked.time_s,
            last_s=tracked.time_s,
            bank=FeatureBank(settings.features_per_track, settings.feature_max_similarity),
            partial_bank=FeatureBank(settings.features_per_track, settings.feature_max_similarity),
            floor=FloorPath(_PATH_SLOTS),
            observations=len(earlier),
        )

    def _stand(self, record: TrackRecord, time_s: float, floor_xy_m: NDArray[np.float64]) -> None:
        # Above the horizon there is no floor: positions are NaN.
        if not np.isfinite(floor_xy_m).all():
            return
        position = (float(floor_xy_m[0]), float(floor_xy_m[1]))
        record.floor.add(time_s, position)
        if record.link is not None:
            self._identities.add_floor(record.link.global_id, time_s, position)

    def _add_embedding(self, record: TrackRecord, embedding: FloatArray) -> None:
        record.good_crops += 1
        before = record.bank.mean()
        if not record.bank.add(embedding):
            return
        after = record.bank.mean()
        assert after is not None
        camera = self._camera_row[record.camera_id]
        self._centres.learn(camera, after, before)
        if record.link is not None:
            self._identities.add_feature(record.link.global_id, embedding, camera)

    def _centred_mean(self, record: TrackRecord) -> FloatArray:
        embeddings = record.describing_bank.embeddings
        return mean_embedding(self._centres.centred(embeddings, self._camera_row[record.camera_id]))

    def forget(self, now_s: float) -> None:
        """Drop people not seen by any camera for longer than `identity_memory_s`, and those of more than
        `max_identities` who were not seen for longest; does nothing if called again within a second."""
        if now_s - self._forgot_s < _FORGET_INTERVAL_S:
            return
        self._forgot_s = now_s
        memory_s, limit = self._settings.identity_memory_s, self.max_identities
        forgotten = self._identities.forget(now_s, memory_s, limit, self._active())
        if forgotten.surplus and not self.forgotten.surplus:
            warn_of_surplus(self._settings, limit, forgotten.surplus, "the linker")
        self.forgotten += forgotten

    def _active(self) -> set[int]:
        return {r.link.global_id for tracks in self._live.values() for r in tracks.values() if r.link}

    def _settle(self, record: TrackRecord) -> None:
        """Make a track that ended without a decision a new identity."""
        if record.link is not None:
            return
        choices = None if self._log is None else self._choices([record], record.camera_id)
        outcome = Outcome.NEW if len(record.bank) or len(record.floor) else Outcome.WITHOUT_EVIDENCE
        if outcome is Outcome.NEW:
            self._create_identity(record, NOT_COMPARED)
        else:
            # There is nothing to compare another track with.
            record.link = Link(self._own_id(record), NOT_COMPARED, self._decisions_are_final)
            self._distances.drop(record)
            self._people[record.class_id] += 1
        if choices is not None:
            lacks = self._lacks(record)
            reason = Reason.ENDED_WAITING if lacks is None else _ENDED[lacks]
            held = {Obstacle.HELD: ~choices.taken}
            self._note(record, record.last_s, outcome, reason, choices.compared[0], held)

    # -- deciding -----------------------------------------------------------------------------------------

    def _decide(self, camera_id: str, ready: list[TrackRecord], now_s: float) -> None:
        if not ready:
            return
        choices = self._choices(ready, camera_id)
        cost = choices.cost
        pairs = assign(cost, 1.0)
        chosen = dict(pairs.tolist())
        left_over = np.ones(cost.shape[1], np.bool_)
        left_over[pairs[:, 1]] = False
        for row, record in enumerate(ready):
            patient = now_s - record.known_s < self._settings.max_wait_s
            column = chosen.get(row)
            others = cost[row, left_over]
            outcome, reason = self._verdict(choices, row, record, column, others, patient=patient)
            if column is not None and outcome is Outcome.LINKED:
                self._join(record, column, posterior(cost[row, column], np.append(others, 1.0)))
            elif outcome is Outcome.NEW:
                # Without an embedding, the absence of rivals says nothing.
                self._create_identity(record, posterior(1.0, others) if len(record.bank) else NOT_COMPARED)
            if self._log is not None:
                free = left_over.copy()
                if column is not None:
                    free[column] = True
                later = {Obstacle.HELD: ~choices.taken, Obstacle.WENT_TO_ANOTHER: free}
                self._note(record, now_s, outcome, reason, choices.compared[row], later)

    def _verdict(
        self,
        choices: _Choices,
        row: int,
        record: TrackRecord,
        column: int | None,
        others: Array,
        *,
        patient: bool,
    ) -> tuple[Outcome, Reason]:
        """Return what happens to a track, and why.

        Args:
            row: of the track in `choices`.
            column: of the identity that the assignment gives to the track, None for none.
            others: costs of the identities that it gives to nobody.
            patient: whether the track may still wait.
        """
        settings = self._settings
        nearest_left, held = float(others.min(initial=np.inf)), float(choices.held[row])
        nearest_other = min(nearest_left, held)
        cost = choices.cost[row]
        if column is not None:
            margin = settings.margin / choices.limit[row]
            if not nearest_other - cost[column] < margin or choices.placed[row, column]:
                nearest = cost[column] <= cost.min()
                return Outcome.LINKED, Reason.NEAREST if nearest else Reason.WENT_TO_ANOTHER
            if not patient:
                return Outcome.LINKED, Reason.TOO_CLOSE_TOO_LONG
            return Outcome.WAITING, Reason.HELD if held <= nearest_left else Reason.TOO_CLOSE
        described = record.good_crops >= settings.linkable_crops
        if described and nearest_other > _HOPELESS_COST:
            return Outcome.NEW, _why_new(cost, nearest_other)
        if not patient:
            return Outcome.NEW, Reason.WAITED_TOO_LONG
        if not described:
            return Outcome.WAITING, Reason.FEW_CROPS
        return Outcome.WAITING, Reason.HELD if held <= nearest_left else Reason.JUST_ABOVE_LIMIT

    def _note(
        self,
        record: TrackRecord,
        time_s: float,
        outcome: Outcome,
        reason: Reason,
        compared: Comparison | None = None,
        later_obstacles: Mapping[Obstacle, BoolArray] = MappingProxyType({}),
    ) -> None:
        assert self._log is not None
        self._log.note(
            record,
            time_s,
            outcome,
            reason,
            mean_weight=self._centres.weight(self._camera_row[record.camera_id]),
            compared=compared,
            later_obstacles=later_obstacles,
        )

    def _log_unready(self, records: Sequence[TrackRecord], now_s: float) -> None:
        for record in records:
            lacks = self._lacks(record)
            if record.link is None and lacks is not None and not self._is_ready(record, now_s):
                self._note(record, now_s, Outcome.WAITING, lacks)

    def _is_ready(self, record: TrackRecord, now_s: float) -> bool:
        """Return whether enough is known of a track to decide, or it has waited too long."""
        return now_s - record.known_s >= self._settings.max_wait_s or self._lacks(record) is None

    def _lacks(self, record: TrackRecord) -> Reason | None:
        """Return what is still needed to decide about a track. With a homography, its floor position must be known:
        appearance alone could join it to a person who stands elsewhere at that moment."""
        if len(record.floor):
            # The newest slot is not complete: another camera may not have reported it yet.
            return None if len(record.floor) > MIN_SHARED_SLOTS else Reason.FEW_POSITIONS
        if record.good_crops >= self._settings.first_crops or self._is_known_in_part(record):
            return None
        return Reason.FEW_CROPS

    def _is_known_in_part(self, record: TrackRecord) -> bool:
        """Return whether partial crops are enough to compare a track: it is unlikely that a good one follows soon."""
        return bool(self._settings.partial_crops_factor) and (
            record.described_in_part and record.partial_crops >= _ENOUGH_PARTIAL_CROPS
        )

    def _choices(self, records: list[TrackRecord], camera_id: str) -> _Choices:
        known = self._identities
        taken = np.zeros(len(known), np.bool_)
        taken[known.rows_of([r.link.global_id for r in self._live[camera_id].values() if r.link])] = True
        costs = np.full((len(records), len(known)), np.inf)
        placed = np.zeros(costs.shape, np.bool_)
        held, limit = np.full(len(records), np.inf), np.zeros(len(records))
        compared = [self._compared(record, self._camera_row[camera_id], taken) for record in records]
        for row, one in enumerate(compared):
            allowed = one.allowed
            costs[row] = np.where(allowed & ~taken, one.cost, np.inf)
            placed[row] = ~np.isnan(one.floor_m)
            held[row] = np.where(allowed & taken, one.cost, np.inf).min(initial=np.inf)
            limit[row] = one.limit
        return _Choices(costs, placed, held, limit, taken, compared)

    def _compared(self, record: TrackRecord, camera: int, taken: BoolArray) -> Comparison:
        """Compare a track with all identities.

        Args:
            taken: (I,) the identities that tracks of this camera have.
        """
        known, settings = self._identities, self._settings
        apart_m, shared = known.floor_distance_m(record.floor.slots, record.floor.xy_m)
        proven = shared >= MIN_SHARED_SLOTS
        possible = {
            Obstacle.ANOTHER_CLASS: known.class_id == record.class_id,
            Obstacle.IN_VIEW: known.last_seen_s[:, camera] < record.start_s,
            Obstacle.TRANSIT_TIME: self._in_transit_time(record, camera),
            # A median over shared slots is more reliable than the first position, which lies at the image border.
            Obstacle.TOO_FAR: proven | self._reachable(record),
        }
        appearance = self._distances.of(record)
        few_crops = record.good_crops < settings.linkable_crops
        if few_crops:
            enough = record.good_crops >= settings.first_crops or self._is_known_in_part(record)
            comparable = enough & self._seen_last_by_another(camera)
            possible[Obstacle.FEW_CROPS] = proven | comparable
        allowed = np.logical_and.reduce(list(possible.values()))
        elsewhere = proven & (apart_m > settings.max_floor_distance_m)
        rivals = allowed & ~taken & ~elsewhere & np.isfinite(appearance)
        limit = np.float64(
            self._limits.at(self._centres.weight(camera)) * self._limits.crowd_factors(rivals.sum())
        )
        if record.described_in_part:
            limit *= settings.partial_crops_factor or 1.0
        elif few_crops and settings.few_crops_factor:
            limit *= settings.few_crops_factor
        floor_m = np.where(proven, apart_m, np.nan)
        cost = combined_cost(
            appearance,
            floor_m,
            max_cosine_distance=limit,
            max_floor_distance_m=settings.max_floor_distance_m,
            floor_weight=settings.floor_weight,
        )
        return Comparison(known.global_id, appearance, floor_m, possible, allowed, cost, limit)

    def _seen_last_by_another(self, camera: int) -> BoolArray:
        """Return (I,) whether another camera saw each identity last.

        A person whom this camera lost a moment ago is usually found again by its tracker, so a new track of this camera
        needs more evidence than one of another camera.
        """
        known = self._identities
        return np.asarray(known.seen_s > known.last_seen_s[:, camera])

    def _in_transit_time(self, record: TrackRecord, camera: int) -> BoolArray:
        """Return (I,) whether each identity can have come here within the transit times. It must not have come faster
        than allowed from any camera that saw it, nor slower than allowed from the camera that saw it last."""
        known = self._identities
        in_time = np.ones(len(known), np.bool_)
        for other, min_s in self._transit.earliest(camera):
            in_time &= record.start_s - known.last_seen_s[:, other] >= min_s
        if self._transit.has_latest(camera):
            in_time &= record.start_s - known.seen_s <= self._transit.max_s[known.seen_last_by, camera]
        return in_time

    def _reachable(self, record: TrackRecord) -> BoolArray:
        """Return (I,) whether each identity can have walked between its last position and the start of the track."""
        known, settings = self._identities, self._settings
        reachable = np.ones(len(known), np.bool_)
        if not len(record.floor) or not len(known):
            return reachable
        began_s = record.floor.slots[0] * SLOT_S
        # Either position may be the earlier one. Positions of the same slot may be up to one slot apart in time.
        gap_s = np.maximum(np.abs(began_s - known.last_floor_s), SLOT_S)
        distance_m = np.linalg.norm(known.last_floor_xy_m - record.floor.xy_m[0], axis=1)
        # The positions may be wrong by as much as two views of one person may differ.
        needed_s = (distance_m - settings.max_floor_distance_m) / settings.max_speed_m_s
        return np.asarray(~(needed_s > gap_s))  # NaN where an identity has no position

    def _join(self, record: TrackRecord, column: int, confidence: float) -> None:
        global_id = int(self._identities.global_id[column])
        self._attach(record, Link(global_id, confidence, self._decisions_are_final))

    def _create_identity(self, record: TrackRecord, confidence: float) -> None:
        global_id = self._own_id(record)
        self._identities.add(global_id, record.class_id)
        self._people[record.class_id] += 1
        self._attach(record, Link(global_id, confidence, self._decisions_are_final))

    def _own_id(self, record: TrackRecord) -> int:
        """Return a new id, or the one that the record's rows already carry."""
        return self._undecided_ids.pop(record, None) or self._take_id()

    def _attach(self, record: TrackRecord, link: Link) -> None:
        self._distances.drop(record)
        provisional_id = self._undecided_ids.pop(record, None)
        if provisional_id is not None and self._on_correction is not None:
            self._on_correction(
                Correction(
                    record.last_s,
                    record.camera_id,
                    record.track_id,
                    provisional_id,
                    link.global_id,
                    link.confidence,
                )
            )
        record.link = link
        known = self._identities
        known.see([link.global_id], self._camera_row[record.camera_id], record.last_s)
        for embedding in record.bank.embeddings:
            known.add_feature(link.global_id, embedding, self._camera_row[record.camera_id])
        for slot, xy_m in zip(record.floor.slots.tolist(), record.floor.xy_m.tolist(), strict=True):
            known.add_floor(link.global_id, (slot + 0.5) * SLOT_S, (xy_m[0], xy_m[1]))

    def _take_id(self) -> int:
        global_id = self._next_id
        self._next_id += 1
        return global_id


def _why_new(cost: Array, nearest_other: float) -> Reason:
    """Return why a track whose remaining candidates are hopeless is a new person.

    Args:
        cost: (I,) of all candidates.
        nearest_other: least cost among those that no other track has got.
    """
    if cost.min(initial=np.inf) <= 1.0:
        return Reason.WENT_TO_ANOTHER
    return Reason.NO_CANDIDATE if np.isinf(nearest_other) else Reason.NONE_WITHIN_LIMIT


def _embedded(tracked: TrackedFrame, crops: BoolArray) -> list[bool]:
    """Return for each track whether its crop is among `crops` (M,) bool and has an embedding."""
    embedded = tracked.detections.embedded
    if embedded is None:
        return [False] * len(tracked.track_ids)
    both: list[bool] = (embedded & crops).tolist()
    return both
