"""A baseline for several cameras: another tracker's tracks in each camera, joined by their mean embeddings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.contestants import Tracked, run_peer
from pipeline.benchmark.peer import Peer, PeerTracks
from pipeline.core.assignment import assign
from pipeline.core.boxes import iou_matrix
from pipeline.core.datatypes import BoolArray, Detections, Frame, IntArray
from pipeline.core.models import Detector
from pipeline.core.vectors import unit
from pipeline.cross_camera.clustering import AverageCosts, constrained_linkage, split_at_absences
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes
from pipeline.scoring.evaluation import score
from pipeline.single_camera.good_crops import good_crops
from pipeline.single_camera.settings import TrackerSettings
from pipeline.sources.base import FrameSource

#: Cosine distances of which `best_joined` chooses the best.
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 21))

# Smallest overlap (IoU) between a track's smoothed box and a detection of the same person.
_SAME_IOU = 0.5


@dataclass(eq=False)
class _Track:
    """The first and last time of a track, and the sum (D,) of its embeddings; None before the first."""

    start_s: float
    end_s: float
    total: NDArray[np.float64] | None = None


class ClusteredPeer:
    """The tracks of a peer in all cameras, which can be joined with different thresholds.

    Args:
        sources: as in `run_peer`.
        detector: returns an embedding for every box.
        settings: which crops are good enough to count in the mean of a track.
        identity_memory_s: a person not seen by any camera for longer than this many seconds gets a new identity.
    """

    def __init__(
        self,
        peer: Peer,
        sources: list[FrameSource],
        detector: Detector,
        settings: TrackerSettings,
        identity_memory_s: float,
    ) -> None:
        self._settings, self._memory_s = settings, identity_memory_s
        self._tracks: dict[tuple[str, int], _Track] = {}
        self._frames = 0
        self._tracked = run_peer(peer, sources, detector, self._see)
        self._keys = sorted(self._tracks, key=lambda key: (self._tracks[key].start_s, *key))

    def joined(self, max_cosine_distance: float) -> Tracked:
        """Join clusters up to this mean cosine distance into one person. Two tracks of the same camera at the same time
        are never joined."""
        began = time.perf_counter()
        labels = self._labels(max_cosine_distance)
        busy_ms = (time.perf_counter() - began) * 1000
        return Tracked(self._boxes(labels), self._tracked.ms_per_frame + busy_ms / max(self._frames, 1))

    def best_joined(self, ground_truth: Mapping[str, TrackBoxes]) -> Tracked:
        """Return `joined` for the lowest of the `THRESHOLDS` with the highest IDF1 over all cameras."""
        best, best_idf1, labels_before = None, -1.0, None
        for threshold in THRESHOLDS:
            labels = self._labels(threshold)
            if labels_before is not None and np.array_equal(labels, labels_before):
                continue
            labels_before = labels
            idf1 = score(self._boxes(labels), ground_truth).all_cameras.idf1 or 0.0
            if idf1 > best_idf1:
                best, best_idf1 = threshold, idf1
        assert best is not None
        return self.joined(best)

    def _see(self, frame: Frame, detections: Detections, tracks: PeerTracks) -> None:
        self._frames += 1
        for track_id in tracks.ids.tolist():
            track = self._tracks.setdefault((frame.camera_id, track_id), _Track(frame.time_s, frame.time_s))
            track.end_s = frame.time_s
        if detections.embeddings is None or detections.embedded is None:
            return
        good = good_crops(detections.xyxy, detections.confidence, frame.size_wh, self._settings)
        good &= detections.embedded
        for row, found in assign(1 - iou_matrix(tracks.xyxy, detections.xyxy), 1 - _SAME_IOU).tolist():
            if good[found]:
                track = self._tracks[frame.camera_id, int(tracks.ids[row])]
                embedding = detections.embeddings[found].astype(np.float64)
                track.total = embedding if track.total is None else track.total + embedding

    def _labels(self, max_cosine_distance: float) -> IntArray:
        """Return (N,) labels of the tracks, in the order of their keys."""
        tracks = [self._tracks[key] for key in self._keys]
        start_s = np.array([track.start_s for track in tracks], np.float64)
        end_s = np.array([track.end_s for track in tracks], np.float64)
        evidence = AverageCosts(self._costs())
        labels = constrained_linkage(evidence, self._together(start_s, end_s), max_cosine_distance)
        return split_at_absences(labels, start_s, end_s, self._memory_s)

    def _costs(self) -> NDArray[np.float64]:
        """Return (N, N) cosine distances between the mean embeddings of tracks; NaN if a track has none."""
        totals = {
            row: total for row, key in enumerate(self._keys) if (total := self._tracks[key].total) is not None
        }
        cost = np.full((len(self._keys), len(self._keys)), np.nan)
        if totals:
            rows = np.array(list(totals))
            means = unit(np.stack(list(totals.values())))
            cost[np.ix_(rows, rows)] = 1 - means @ means.T
        return cost

    def _together(self, start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> BoolArray:
        """Return (N, N), True for pairs of tracks of the same camera that overlap in time."""
        camera = np.array([camera_id for camera_id, _ in self._keys], np.str_)
        overlap = (start_s[:, None] <= end_s[None, :]) & (start_s[None, :] <= end_s[:, None])
        return np.asarray(overlap & (camera[:, None] == camera[None, :]))

    def _boxes(self, labels: IntArray) -> dict[str, TrajectoryBoxes]:
        """Return the boxes of all cameras; global ids are labels from 1."""
        global_id = dict(zip(self._keys, (labels + 1).tolist(), strict=True))
        result = {}
        for camera_id, found in self._tracked.boxes.items():
            ids = np.array([global_id[camera_id, track_id] for track_id in found.track_id.tolist()], np.int64)
            result[camera_id] = TrajectoryBoxes(replace(found.boxes, ids=ids), found.track_id)
        return result
