"""Tracking by detection inside one camera: two-stage association with overlap and appearance.

Boxes of high confidence are matched to all tracks first, weak ones only continue tracks that are still without a
box (ByteTrack, Zhang et al., ECCV 2022). Where appearance was computed it can stand in for overlap within a gate
(BoT-SORT, Aharon et al. 2022). All life times are in seconds.

A frame takes two calls, because embeddings are computed only where they matter:
`plan` says which boxes should be embedded, `update` takes the detections with those embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.assignment import assign
from pipeline.boxes import Boxes, covered_share, cxcywh_to_xyxy, iou_matrix, xyxy_to_cxcywh
from pipeline.config import TrackerSettings
from pipeline.datatypes import BoolArray, Detections, FloatArray, Frame, IntArray
from pipeline.single_camera.costs import cosine_distance, fused_cost, gate_distance, iou_distance
from pipeline.single_camera.kalman_filter import KalmanFilter
from pipeline.single_camera.track import Observation, Track, TrackState


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """What one frame did to the tracks of its camera.

    Attributes:
        camera_id, frame_index, time_s: of the frame.
        track_ids: (M,) int64, the confirmed tracks observed in this frame, ascending.
        detections: M rows, the box and, where computed, the embedding of each.
        good_crop: (M,) bool, rows whose embedding comes from a crop fit to describe the person.
        earlier: for each track confirmed in this frame, its boxes from before.
        ended: ids of tracks that ended in this frame.
    """

    camera_id: str
    frame_index: int
    time_s: float
    track_ids: IntArray
    detections: Detections
    good_crop: BoolArray
    earlier: dict[int, list[Observation]]
    ended: tuple[int, ...]


class SingleCameraTracker:
    """Gives the people of one camera track ids, counted from 1 by this object."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings
        self._filter = KalmanFilter(
            process_noise=settings.process_noise, measurement_noise=settings.measurement_noise
        )
        self._tracks: list[Track] = []
        self._next_id = 1

    @property
    def live_tracks(self) -> int:
        """Tracks held in memory, in any state."""
        return len(self._tracks)

    @property
    def oldest_unconfirmed_s(self) -> float:
        """Time of the earliest box that may still be handed out with a confirmation; +inf if there is none."""
        return min((t.first_s for t in self._tracks if t.state is TrackState.TENTATIVE), default=np.inf)

    def plan(self, frame: Frame, detections: Detections) -> IntArray:
        """Rows (K,) of `detections` whose embedding would help: a track is due for one, a box could belong to
        two tracks, or a confident box belongs to none while lost tracks are waiting to be found."""
        settings = self._settings
        high = detections.confidence >= settings.high_confidence
        if not high.any():
            return np.zeros(0, np.int64)
        good = self._good_crops(frame, detections)
        iou = iou_matrix(self._predicted_xyxy(frame.time_s), detections.xyxy)
        wanted = np.zeros(len(detections), np.bool_)
        if len(self._tracks):
            same_class = self._classes()[:, None] == detections.class_id[None, :]
            iou = np.where(same_class, iou, 0)
            claimed = iou.max(axis=0)
            due = np.array([self._due(track, frame.time_s) for track in self._tracks])
            best_track = iou.argmax(axis=0)
            plain = claimed > settings.ambiguous_iou
            wanted |= plain & due[best_track] & good
            comparable = np.array([track.appearance is not None for track in self._tracks])
            rivals = np.where(comparable[:, None], iou, 0)
            if len(rivals) > 1:
                first, second = -np.partition(-rivals, 1, axis=0)[:2]
                close = (second > settings.ambiguous_iou) & (first - second < settings.ambiguous_margin_iou)
                wanted |= close
            waiting = np.array([track.state is TrackState.LOST for track in self._tracks]) & comparable
            if waiting.any():
                wanted |= ~plain & (detections.confidence >= settings.new_track_confidence)
        return np.flatnonzero(wanted & high)

    def update(self, frame: Frame, detections: Detections) -> TrackedFrame:
        """Advance all tracks to the frame's time and give each at most one of its detections.

        Args:
            detections: of this frame, with embeddings where `plan` asked for them.

        Raises:
            ValueError: if the frame is not later than the one before.
        """
        settings = self._settings
        self._advance(frame.time_s)
        good = self._good_crops(frame, detections)
        high = np.flatnonzero(detections.confidence >= settings.high_confidence)
        low = np.flatnonzero(
            (detections.confidence < settings.high_confidence) & (detections.confidence >= settings.low_confidence)
        )
        established = [t for t in self._tracks if t.state is not TrackState.TENTATIVE]
        tentative = [t for t in self._tracks if t.state is TrackState.TENTATIVE]

        pairs, established, high = self._match_high(established, detections, high)
        seen = [t for t in established if t.state is TrackState.CONFIRMED]
        more, _, _ = self._match_iou(seen, detections, low, settings.max_iou_distance_low)
        pairs += more
        more, _, high = self._match_iou(tentative, detections, high, settings.max_iou_distance_tentative)
        pairs += more

        self._observe(pairs, frame, detections, good)
        matched = {id(track) for track, _ in pairs}
        ended = self._miss([t for t in self._tracks if id(t) not in matched], frame.time_s)
        self._start(high, frame, detections, good)
        ended += self._end_duplicates()
        self._tracks = [t for t in self._tracks if t.state is not TrackState.ENDED]
        return self._tracked_frame(frame, pairs, detections, good, ended)

    def finish(self) -> tuple[int, ...]:
        """End all tracks, at the end of the recording; the ids of those that were confirmed."""
        ended = tuple(sorted(track.track_id for track in self._tracks if track.track_id))
        self._tracks = []
        return ended

    # -- matching ------------------------------------------------------------------------------------------

    def _match_high(
        self, tracks: list[Track], detections: Detections, rows: IntArray
    ) -> tuple[list[tuple[Track, int]], list[Track], IntArray]:
        settings = self._settings
        chosen = detections[rows]
        boxes = _boxes(tracks)
        cost = fused_cost(
            iou_distance(boxes, chosen.xyxy, chosen.confidence),
            cosine_distance([t.appearance for t in tracks], chosen.embeddings, chosen.embedded),
            gate_distance(boxes, chosen.xyxy),
            max_iou_distance=settings.max_iou_distance_high,
            max_cosine_distance=settings.max_cosine_distance,
            max_gate_distance=settings.max_gate_distance,
        )
        return _matched(tracks, rows, _same_class(cost, tracks, chosen), 1.0)

    def _match_iou(
        self, tracks: list[Track], detections: Detections, rows: IntArray, max_iou_distance: float
    ) -> tuple[list[tuple[Track, int]], list[Track], IntArray]:
        chosen = detections[rows]
        cost = iou_distance(_boxes(tracks), chosen.xyxy)
        return _matched(tracks, rows, _same_class(cost, tracks, chosen), max_iou_distance)

    # -- the life of tracks --------------------------------------------------------------------------------

    def _advance(self, time_s: float) -> None:
        if not self._tracks:
            return
        elapsed = np.array([time_s - track.state_time_s for track in self._tracks])
        if (elapsed <= 0).any():
            raise ValueError(
                f"frame at {time_s:.3f} s does not follow the one before, at {time_s - elapsed.min():.3f} s"
            )
        mean, covariance = self._filter.predict(*self._state(), elapsed)
        for row, track in enumerate(self._tracks):
            track.mean, track.covariance, track.state_time_s = mean[row], covariance[row], time_s

    def _observe(
        self, pairs: list[tuple[Track, int]], frame: Frame, detections: Detections, good: BoolArray
    ) -> None:
        if not pairs:
            return
        measured = _measured(detections, np.array([row for _, row in pairs], np.int64))
        mean, covariance = self._filter.update(
            np.stack([track.mean for track, _ in pairs]),
            np.stack([track.covariance for track, _ in pairs]),
            measured,
        )
        for index, (track, row) in enumerate(pairs):
            track.mean, track.covariance = mean[index], covariance[index]
            track.last_s = frame.time_s
            track.observations += 1
            self._see_appearance(track, row, frame.time_s, detections, good)
            if track.state is TrackState.TENTATIVE:
                if frame.time_s - track.first_s >= self._settings.confirm_after_s:
                    track.state = TrackState.CONFIRMED
                    track.track_id = self._next_id
                    self._next_id += 1
                else:
                    track.unconfirmed.append(_observation(frame, detections, row))
            else:
                track.state = TrackState.CONFIRMED

    def _see_appearance(
        self, track: Track, row: int, time_s: float, detections: Detections, good: BoolArray
    ) -> None:
        if detections.embeddings is None or detections.embedded is None or not detections.embedded[row]:
            return
        # A covered or cut-off crop shows somebody else's clothes too; it only helped to choose the box.
        if good[row]:
            track.blend_appearance(detections.embeddings[row], time_s)
            track.good_crops += 1

    def _miss(self, tracks: list[Track], time_s: float) -> list[int]:
        ended = []
        for track in tracks:
            if track.state is TrackState.TENTATIVE:
                track.state = TrackState.ENDED
                continue
            track.state = TrackState.LOST
            # Without a box the size says nothing new; letting it run on would blow up or shrink the box.
            track.mean[2:, 1] = 0.0
            if time_s - track.last_s > self._settings.max_lost_s:
                track.state = TrackState.ENDED
                ended.append(track.track_id)
        return ended

    def _start(self, rows: IntArray, frame: Frame, detections: Detections, good: BoolArray) -> None:
        rows = rows[detections.confidence[rows] >= self._settings.new_track_confidence]
        if not len(rows):
            return
        mean, covariance = self._filter.start(_measured(detections, rows))
        for index, row in enumerate(rows):
            track = Track(
                class_id=int(detections.class_id[row]),
                mean=mean[index],
                covariance=covariance[index],
                state_time_s=frame.time_s,
                first_s=frame.time_s,
                last_s=frame.time_s,
                unconfirmed=[_observation(frame, detections, row)],
            )
            self._see_appearance(track, row, frame.time_s, detections, good)
            self._tracks.append(track)

    def _end_duplicates(self) -> list[int]:
        """Two tracks on one person: the one with fewer boxes ends."""
        tracks = [t for t in self._tracks if t.state in (TrackState.CONFIRMED, TrackState.LOST)]
        overlap = np.triu(iou_matrix(_boxes(tracks), _boxes(tracks)), 1)
        ended = []
        for a, b in np.argwhere(overlap > self._settings.duplicate_iou):
            first, second = tracks[a], tracks[b]
            # Two boxes of one frame are two people however much they overlap; one box and a guess are not.
            if TrackState.ENDED in (first.state, second.state) or first.last_s == second.last_s:
                continue
            if first.class_id != second.class_id:
                continue
            loser = first if first.last_s < second.last_s else second
            loser.state = TrackState.ENDED
            ended.append(loser.track_id)
        return ended

    # -- small views of the tracks -------------------------------------------------------------------------

    def _state(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.stack([t.mean for t in self._tracks]), np.stack([t.covariance for t in self._tracks])

    def _predicted_xyxy(self, time_s: float) -> Boxes:
        if not self._tracks:
            return np.zeros((0, 4))
        elapsed = np.array([time_s - track.state_time_s for track in self._tracks])
        mean, _ = self._filter.predict(*self._state(), elapsed)
        return cxcywh_to_xyxy(mean[..., 0])

    def _classes(self) -> IntArray:
        return np.array([track.class_id for track in self._tracks], np.int64)

    def _due(self, track: Track, time_s: float) -> bool:
        settings = self._settings
        young = track.good_crops < settings.first_crops
        interval = settings.embedding_first_interval_s if young else settings.embedding_interval_s
        # A track in its first frame may be a false alarm that is never seen again.
        return track.observations > 1 and time_s - track.embedded_s >= interval

    def _good_crops(self, frame: Frame, detections: Detections) -> BoolArray:
        settings = self._settings
        xyxy = detections.xyxy
        width, height = frame.size_wh
        margin = settings.border_margin_px
        inside = (
            (xyxy[:, 0] >= margin)
            & (xyxy[:, 1] >= margin)
            & (xyxy[:, 2] <= width - margin)
            & (xyxy[:, 3] <= height - margin)
        )
        good = (
            inside
            & (detections.confidence >= settings.good_crop_confidence)
            & (xyxy[:, 3] - xyxy[:, 1] >= settings.good_crop_height_px)
            & (covered_share(xyxy) <= settings.good_crop_max_overlap)
        )
        return np.asarray(good)

    def _tracked_frame(
        self,
        frame: Frame,
        pairs: list[tuple[Track, int]],
        detections: Detections,
        good: BoolArray,
        ended: list[int],
    ) -> TrackedFrame:
        confirmed = sorted(
            ((t.track_id, row, t) for t, row in pairs if t.state is TrackState.CONFIRMED),
            key=lambda item: item[0],
        )
        rows = np.array([row for _, row, _ in confirmed], np.int64)
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
            good_crop=good[rows],
            earlier=earlier,
            ended=tuple(sorted(ended)),
        )


def _measured(detections: Detections, rows: IntArray) -> NDArray[np.float64]:
    """(K, 4) cxcywh of the detections at `rows`, in the filter's precision."""
    return xyxy_to_cxcywh(detections.xyxy[rows]).astype(np.float64)


def _boxes(tracks: list[Track]) -> Boxes:
    if not tracks:
        return np.zeros((0, 4))
    return cxcywh_to_xyxy(np.stack([track.mean[:, 0] for track in tracks]))


def _same_class(cost: Boxes, tracks: list[Track], detections: Detections) -> Boxes:
    """`cost` (T, N) with +inf where track and detection are of different classes."""
    classes = np.array([track.class_id for track in tracks], np.int64)
    return np.where(classes[:, None] == detections.class_id[None, :], cost, np.inf)


def _matched(
    tracks: list[Track], rows: IntArray, cost: Boxes, max_cost: float
) -> tuple[list[tuple[Track, int]], list[Track], IntArray]:
    """The matched (track, row) pairs, the tracks left over and the rows left over."""
    pairs = assign(cost, max_cost)
    taken_tracks, taken_rows = set(pairs[:, 0].tolist()), np.zeros(len(rows), np.bool_)
    taken_rows[pairs[:, 1]] = True
    return (
        [(tracks[t], int(rows[d])) for t, d in pairs],
        [track for index, track in enumerate(tracks) if index not in taken_tracks],
        rows[~taken_rows],
    )


def _observation(frame: Frame, detections: Detections, row: int) -> Observation:
    xyxy: FloatArray = detections.xyxy[row].copy()
    return Observation(frame.frame_index, frame.time_s, xyxy, float(detections.confidence[row]))
