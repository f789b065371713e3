"""Tracking by detection inside one camera: two-stage association with overlap and appearance.

Boxes of high confidence are matched to all tracks first; weak ones only continue tracks that have no box yet
(ByteTrack, Zhang et al., ECCV 2022). If there is an embedding, appearance can replace overlap within a gate
(BoT-SORT, Aharon et al. 2022), and a track that was hidden is not continued with a person of different appearance.
All durations are in seconds.

A frame takes two calls, because embeddings are computed only where they are needed:
`plan` says which boxes should be embedded, `update` takes the detections with those embeddings.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.assignment import assign
from pipeline.core.boxes import Boxes, covered_share, cxcywh_to_xyxy, iou_matrix, xyxy_to_cxcywh
from pipeline.core.datatypes import BoolArray, Detections, FloatArray, Frame, IntArray
from pipeline.single_camera.costs import cosine_distance, fused_cost, gate_distance
from pipeline.single_camera.good_crops import good_and_partial_crops
from pipeline.single_camera.kalman_filter import KalmanFilter
from pipeline.single_camera.settings import TrackerSettings
from pipeline.single_camera.track import Observation, Track, TrackState

# Frame times are rounded binary fractions: 0.3 - 0.2 is slightly less than 0.1.
_TIME_ROUNDING_S = 1e-6


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """The tracks of one camera after a frame.

    Attributes:
        camera_id, frame_index, time_s: of the frame.
        track_ids: (M,) int64, the confirmed tracks observed in this frame, ascending.
        detections: M rows, the box and, where computed, the embedding of each.
        good_crop: (M,) bool, rows whose crop is good enough to describe the person; False while the track may be
            another person and the next good crop decides.
        partial_crop: (M,) bool, rows whose crop shows a part of the person, cut off by the image border, while the
            track has no good crop.
        still: (M,) bool, rows of tracks that have never moved, so that they are not people.
        weak: (M,) bool, rows of tracks whose newest boxes have a low confidence, so that they are not to be shown.
        earlier: for each track confirmed in this frame, its earlier boxes.
        ended: ids of tracks that ended in this frame.
    """

    camera_id: str
    frame_index: int
    time_s: float
    track_ids: IntArray
    detections: Detections
    good_crop: BoolArray
    partial_crop: BoolArray
    still: BoolArray
    weak: BoolArray
    earlier: dict[int, list[Observation]]
    ended: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Scene:
    """The N detections of a frame and the T tracks as predicted for its time; used by `plan` and `update`.

    mean, covariance: (T, 4, 2) and (T, 4, 3). tracks_xyxy: (T, 4). same_class: (T, N). iou: (T, N).
    good: (N,), detections whose crops are good enough to describe a person. partial: (N,), those that show a part of
    one. uncovered: (N,), detections of which other boxes cover little. gap_s: seconds since the previous frame,
    0 for the first one. sparse: whether gap_s is so long that people may have walked out of their boxes.
    """

    time_s: float
    detections_xyxy: FloatArray
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    tracks_xyxy: Boxes
    same_class: BoolArray
    iou: Boxes
    good: BoolArray
    partial: BoolArray
    uncovered: BoolArray
    gap_s: float
    sparse: bool


class SingleCameraTracker:
    """Assigns track ids, counted from 1, to the people of one camera.

    Args:
        max_cosine_distance: up to this distance a crop may show the person of a track.
        moving_classes: ids of the classes whose objects move sooner or later; None for all. Tracks of other classes are
            never called still.
    """

    def __init__(
        self, settings: TrackerSettings, max_cosine_distance: float, moving_classes: Collection[int] | None = None
    ) -> None:
        self._settings = settings
        self._max_cosine_distance = max_cosine_distance
        self._moving_classes = moving_classes
        self._filter = KalmanFilter(
            process_noise=settings.process_noise, measurement_noise=settings.measurement_noise
        )
        self._tracks: list[Track] = []
        # The Kalman state of each track, at the time of the newest frame.
        self._mean, self._covariance = self._filter.start(np.zeros((0, 4)))
        self._next_id = 1
        self._now_s = -np.inf
        self._scene: _Scene | None = None

    @property
    def live_tracks(self) -> int:
        """Number of tracks in memory, in any state."""
        return len(self._tracks)

    @property
    def oldest_unconfirmed_s(self) -> float:
        """Time of the earliest box that may still be returned when its track is confirmed; +inf if there is none."""
        return min((t.first_s for t in self._tracks if t.state is TrackState.TENTATIVE), default=np.inf)

    def plan(self, frame: Frame, detections: Detections) -> IntArray:
        """Return the rows (K,) int64 of `detections` whose embedding would help.

        These are:

        - boxes of a track that is doubted or due for an embedding
        - boxes that could belong to two tracks
        - confident boxes without a track, while lost tracks may be recovered or frames are sparse (`sparse_frames_s`)
        - all confident boxes after a long gap (`overlap_trusted_s`)

        Raises:
            ValueError: the frame is not later than the previous one given to `update`.
        """
        settings = self._settings
        scene = self._scene_of(frame, detections)
        high = detections.confidence >= settings.high_confidence
        startable = detections.confidence >= settings.new_track_confidence
        if scene.gap_s >= settings.overlap_trusted_s:
            return np.flatnonzero(startable)
        if not self._tracks:
            return np.flatnonzero(startable & scene.sparse)
        if not high.any():
            return np.zeros(0, np.int64)
        iou = np.where(scene.same_class, scene.iou, 0)
        plain = iou.max(axis=0) > settings.ambiguous_iou
        due = np.array([self._due(track, frame.time_s) for track in self._tracks])
        doubted = np.array([track.doubted for track in self._tracks])
        sure_iou = np.where(doubted[:, None], 0, iou)
        claimed = sure_iou.max(axis=0) > settings.ambiguous_iou
        claiming = sure_iou.argmax(axis=0)
        due_in_part = np.array([self._due_in_part(track, frame.time_s) for track in self._tracks])
        wanted = np.where(claimed, due[claiming], plain) & scene.good
        wanted |= claimed & due_in_part[claiming] & scene.partial
        comparable = np.array([track.appearance is not None for track in self._tracks])
        rivals = np.where(comparable[:, None], sure_iou, 0)
        if len(rivals) > 1:
            first, second = -np.partition(-rivals, 1, axis=0)[:2]
            wanted |= (second > settings.ambiguous_iou) & (first - second < settings.ambiguous_margin_iou)
        waiting = comparable & np.array([track.state is TrackState.LOST for track in self._tracks])
        if scene.sparse or waiting.any():
            wanted |= ~plain & startable
        return np.flatnonzero(wanted & high)

    def update(self, frame: Frame, detections: Detections) -> TrackedFrame:
        """Advance all tracks to the frame's time and assign at most one of its detections to each.

        Args:
            detections: of this frame, with embeddings at the rows that `plan` returned.

        Raises:
            ValueError: the frame is not later than the previous one.
        """
        settings = self._settings
        scene = self._scene_of(frame, detections)
        self._now_s, self._scene = frame.time_s, None
        self._mean, self._covariance = scene.mean, scene.covariance
        confidence = detections.confidence
        high = np.flatnonzero(confidence >= settings.high_confidence)
        low = np.flatnonzero((confidence < settings.high_confidence) & (confidence >= settings.low_confidence))
        tentative = np.array([track.state is TrackState.TENTATIVE for track in self._tracks], np.bool_)
        lost = np.array([track.state is TrackState.LOST for track in self._tracks], np.bool_)

        pairs, established, high = self._match_high(scene, detections, np.flatnonzero(~tentative), high)
        seen = established[~lost[established]]
        more, _, _ = _match_iou(scene, seen, low, settings.max_iou_distance_low)
        pairs += more
        young = np.flatnonzero(tentative)
        if scene.sparse:
            more, _, high = self._match_high(scene, detections, young, high)
        else:
            more, _, high = _match_iou(scene, young, high, settings.max_iou_distance_tentative)
        pairs += more

        self._observe(pairs, frame, detections, scene)
        observed = [(self._tracks[track], row) for track, row in pairs]
        ended = self._miss({track for track, _ in pairs}, frame.time_s)
        self._start(high, frame, detections, scene)
        ended += self._end_duplicates()
        self._keep(np.array([track.state is not TrackState.ENDED for track in self._tracks], np.bool_))
        return _tracked_frame(frame, observed, detections, scene, ended, settings.shown_confidence)

    def finish(self) -> tuple[int, ...]:
        """End all tracks, at the end of the recording; return the ids of the confirmed ones."""
        ended = tuple(sorted(track.track_id for track in self._tracks if track.track_id))
        self._keep(np.zeros(len(self._tracks), np.bool_))
        return ended

    # -- matching ------------------------------------------------------------------------------------------

    def _scene_of(self, frame: Frame, detections: Detections) -> _Scene:
        """Return the scene of this frame; it is computed once for `plan` and `update`."""
        scene = self._scene
        # `Detections.with_embeddings` keeps the same array of boxes.
        if scene is not None and scene.time_s == frame.time_s and scene.detections_xyxy is detections.xyxy:
            return scene
        elapsed_s = frame.time_s - self._now_s
        if not elapsed_s > 0:
            raise ValueError(
                f"frame at {frame.time_s:.3f} s is not later than the previous one, at {self._now_s:.3f} s"
            )
        mean, covariance = self._filter.predict(
            self._mean, self._covariance, np.full(len(self._tracks), elapsed_s)
        )
        tracks_xyxy = cxcywh_to_xyxy(mean[..., 0])
        gap_s = elapsed_s if isfinite(elapsed_s) else 0.0
        classes = np.array([track.class_id for track in self._tracks], np.int64)
        good, partial = good_and_partial_crops(
            detections.xyxy, detections.confidence, frame.size_wh, self._settings
        )
        self._scene = _Scene(
            time_s=frame.time_s,
            detections_xyxy=detections.xyxy,
            mean=mean,
            covariance=covariance,
            tracks_xyxy=tracks_xyxy,
            same_class=classes[:, None] == detections.class_id[None, :],
            iou=iou_matrix(tracks_xyxy, detections.xyxy),
            good=good,
            partial=partial,
            uncovered=np.asarray(covered_share(detections.xyxy) <= self._settings.good_crop_max_overlap),
            gap_s=gap_s,
            sparse=gap_s >= self._settings.sparse_frames_s,
        )
        return self._scene

    def _match_high(
        self, scene: _Scene, detections: Detections, tracks: IntArray, rows: IntArray
    ) -> tuple[list[tuple[int, int]], IntArray, IntArray]:
        settings = self._settings
        if not len(tracks) or not len(rows):
            return [], tracks, rows
        # Overlap with a less confident box counts less (ByteTrack's score fusion).
        cost = 1 - scene.iou[np.ix_(tracks, rows)] * detections.confidence[None, rows]
        appearance = None
        if detections.embeddings is not None and detections.embedded is not None:
            appearance = cosine_distance(
                [self._tracks[track].appearance for track in tracks],
                detections.embeddings[rows],
                detections.embedded[rows],
            )
        if appearance is None:
            cost = cost / settings.max_iou_distance_high
        else:
            cost = fused_cost(
                cost,
                appearance,
                gate_distance(scene.tracks_xyxy[tracks], detections.xyxy[rows]),
                max_iou_distance=settings.max_iou_distance_high,
                max_cosine_distance=self._max_cosine_distance,
                max_gate_distance=settings.max_gate_distance,
            )
        if appearance is None:
            appearance = np.full(cost.shape, np.inf)
        doubted = np.array([self._tracks[track].doubted for track in tracks])
        cost[doubted[:, None] & np.isinf(appearance)] = np.inf
        # A person who appears where another was hidden overlaps the track as much as the track's own person would.
        suspected = np.array([self._tracks[track].suspected for track in tracks])
        far = np.isfinite(appearance) & (appearance > self._somebody_else_distance)
        refused = suspected[:, None] & scene.good[rows] & far & (cost <= 1)
        cost[refused] = np.inf
        pairs, left_tracks, left_rows = _matched(scene, tracks, rows, cost, 1.0)
        for track in np.intersect1d(tracks[refused.any(axis=1)], left_tracks).tolist():
            self._tracks[track].doubted = True
        return pairs, left_tracks, left_rows

    # -- the states of tracks ------------------------------------------------------------------------------

    def _observe(self, pairs: list[tuple[int, int]], frame: Frame, detections: Detections, scene: _Scene) -> None:
        if not pairs:
            return
        tracks, rows = np.array(pairs, np.int64).T
        self._mean[tracks], self._covariance[tracks] = self._filter.update(
            self._mean[tracks], self._covariance[tracks], _measured(detections, rows)
        )
        for number, row in pairs:
            track = self._tracks[number]
            track.last_s = frame.time_s
            track.observations += 1
            self._see_appearance(track, row, frame.time_s, detections, scene)
            self._see_evidence(track, row, frame.time_s, detections, scene)
            if track.state is TrackState.TENTATIVE:
                if frame.time_s - track.first_s >= self._settings.confirm_after_s - _TIME_ROUNDING_S:
                    track.state = TrackState.CONFIRMED
                    track.track_id = self._next_id
                    self._next_id += 1
                else:
                    track.unconfirmed.append(_observation(frame, detections, row))
            else:
                track.state = TrackState.CONFIRMED

    def _see_appearance(
        self, track: Track, row: int, time_s: float, detections: Detections, scene: _Scene
    ) -> None:
        good = scene.good
        track.hidden |= not good[row]
        if detections.embeddings is None or detections.embedded is None or not detections.embedded[row]:
            return
        # A covered or cut-off crop may show another person too; its embedding is only used to choose the box.
        if not good[row]:
            if scene.partial[row] and not track.good_crops:
                track.partial_s = time_s
            return
        embedding = detections.embeddings[row]
        if track.hidden and track.appearance_distance(embedding) > self._somebody_else_distance:
            track.suspected, track.embedded_s = True, time_s
            return
        track.blend_appearance(embedding, time_s)
        track.good_crops += 1
        track.hidden = track.suspected = track.doubted = False

    def _see_evidence(self, track: Track, row: int, time_s: float, detections: Detections, scene: _Scene) -> None:
        settings = self._settings
        if not scene.uncovered[row]:
            return
        track.blend_confidence(float(detections.confidence[row]), time_s)
        if not settings.leave_out_still or track.stillness.moved:
            return
        if self._moving_classes is None or track.class_id in self._moving_classes:
            track.stillness.observe(time_s, detections.xyxy[row], float(detections.confidence[row]), settings)

    def _miss(self, matched: set[int], time_s: float) -> list[int]:
        ended = []
        for row, track in enumerate(self._tracks):
            if row in matched:
                continue
            if track.state is TrackState.TENTATIVE:
                track.state = TrackState.ENDED
                continue
            track.state = TrackState.LOST
            # Without a measurement the box keeps its size: extrapolating would inflate or shrink it.
            self._mean[row, 2:, 1] = 0.0
            if time_s - track.last_s > self._settings.max_lost_s:
                track.state = TrackState.ENDED
                ended.append(track.track_id)
        return ended

    def _start(self, rows: IntArray, frame: Frame, detections: Detections, scene: _Scene) -> None:
        rows = rows[detections.confidence[rows] >= self._settings.new_track_confidence]
        if not len(rows):
            return
        mean, covariance = self._filter.start(_measured(detections, rows))
        self._mean = np.concatenate([self._mean, mean])
        self._covariance = np.concatenate([self._covariance, covariance])
        for row in rows.tolist():
            track = Track(
                class_id=int(detections.class_id[row]),
                first_s=frame.time_s,
                last_s=frame.time_s,
                unconfirmed=[_observation(frame, detections, row)],
            )
            self._see_appearance(track, row, frame.time_s, detections, scene)
            self._see_evidence(track, row, frame.time_s, detections, scene)
            self._tracks.append(track)

    def _end_duplicates(self) -> list[int]:
        """End each lost track whose predicted box lies on the box of a track that began after it was lost, because both
        follow one person. Return the ids of the ended tracks.

        Two tracks that were seen at the same time are two people, one behind the other. A doubted track and the person
        detected in its place are two people as well.
        """
        lost = [row for row, track in enumerate(self._tracks) if track.state is TrackState.LOST]
        lost_since_s = min((self._tracks[row].last_s for row in lost), default=np.inf)
        seen = [
            row
            for row, track in enumerate(self._tracks)
            if track.first_s > lost_since_s and track.state is TrackState.CONFIRMED
        ]
        if not seen:
            return []
        overlap = iou_matrix(cxcywh_to_xyxy(self._mean[lost, :, 0]), cxcywh_to_xyxy(self._mean[seen, :, 0]))
        ended = []
        for index, other in np.argwhere(overlap > self._settings.duplicate_iou).tolist():
            loser, winner = self._tracks[lost[index]], self._tracks[seen[other]]
            if loser.state is TrackState.ENDED or loser.class_id != winner.class_id:
                continue
            if winner.first_s <= loser.last_s or loser.doubted:
                continue
            loser.state = TrackState.ENDED
            ended.append(loser.track_id)
        return ended

    @property
    def _somebody_else_distance(self) -> float:
        return self._settings.somebody_else_factor * self._max_cosine_distance

    def _keep(self, stay: BoolArray) -> None:
        """Drop all tracks except those where `stay` (T,) is True."""
        self._scene = None
        if not stay.all():
            self._tracks = [track for track, kept in zip(self._tracks, stay, strict=True) if kept]
            self._mean, self._covariance = self._mean[stay], self._covariance[stay]

    # -- helpers -------------------------------------------------------------------------------------------

    def _due(self, track: Track, time_s: float) -> bool:
        settings = self._settings
        unsure = track.suspected or track.good_crops < settings.first_crops
        interval = settings.embedding_first_interval_s if unsure else settings.embedding_interval_s
        # A track in its first frame may be a false alarm that is never seen again.
        return track.observations > 1 and time_s - track.embedded_s >= interval

    def _due_in_part(self, track: Track, time_s: float) -> bool:
        """Return whether a partial crop of a track would help."""
        if track.good_crops or track.observations < 2:
            return False
        return time_s - track.partial_s >= self._settings.embedding_first_interval_s


def _tracked_frame(
    frame: Frame,
    observed: list[tuple[Track, int]],
    detections: Detections,
    scene: _Scene,
    ended: list[int],
    shown_confidence: float,
) -> TrackedFrame:
    confirmed = sorted(
        ((track.track_id, row, track) for track, row in observed if track.state is TrackState.CONFIRMED),
        key=lambda item: item[0],
    )
    rows = np.array([row for _, row, _ in confirmed], np.int64)
    suspected = np.array([track.suspected for _, _, track in confirmed], np.bool_)
    undescribed = np.array([not track.good_crops for _, _, track in confirmed], np.bool_)
    earlier = {}
    for track_id, _, track in confirmed:
        if track.unconfirmed:
            earlier[track_id], track.unconfirmed = track.unconfirmed, []
    return TrackedFrame(
        camera_id=frame.camera_id,
        frame_index=frame.frame_index,
        time_s=frame.time_s,
        track_ids=np.array([track_id for track_id, _, _ in confirmed], np.int64),
        detections=detections[rows],
        good_crop=scene.good[rows] & ~suspected,
        partial_crop=scene.partial[rows] & undescribed,
        still=np.array([track.stillness.still for _, _, track in confirmed], np.bool_),
        weak=np.array(
            [
                track.shown_confidence is not None and track.shown_confidence < shown_confidence
                for _, _, track in confirmed
            ],
            np.bool_,
        ),
        earlier=earlier,
        ended=tuple(sorted(ended)),
    )


def _measured(detections: Detections, rows: IntArray) -> NDArray[np.float64]:
    """Return the (K, 4) cxcywh of the detections at `rows`, in the filter's precision."""
    return xyxy_to_cxcywh(detections.xyxy[rows]).astype(np.float64)


def _match_iou(
    scene: _Scene, tracks: IntArray, rows: IntArray, max_iou_distance: float
) -> tuple[list[tuple[int, int]], IntArray, IntArray]:
    if not len(tracks) or not len(rows):
        return [], tracks, rows
    return _matched(scene, tracks, rows, 1 - scene.iou[np.ix_(tracks, rows)], max_iou_distance)


def _matched(
    scene: _Scene, tracks: IntArray, rows: IntArray, cost: NDArray[np.floating[Any]], max_cost: float
) -> tuple[list[tuple[int, int]], IntArray, IntArray]:
    """Match the tracks numbered `tracks` to the detections at `rows` by `cost` (len(tracks), len(rows)), never
    across classes. Return the (track, row) pairs, the unmatched tracks and the unmatched rows."""
    pairs = assign(np.where(scene.same_class[np.ix_(tracks, rows)], cost, np.inf), max_cost)
    left_tracks, left_rows = np.ones(len(tracks), np.bool_), np.ones(len(rows), np.bool_)
    left_tracks[pairs[:, 0]], left_rows[pairs[:, 1]] = False, False
    matched = zip(tracks[pairs[:, 0]].tolist(), rows[pairs[:, 1]].tolist(), strict=True)
    return list(matched), tracks[left_tracks], rows[left_rows]


def _observation(frame: Frame, detections: Detections, row: int) -> Observation:
    xyxy: FloatArray = detections.xyxy[row].copy()
    return Observation(frame.frame_index, frame.time_s, xyxy, float(detections.confidence[row]))
