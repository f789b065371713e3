"""Runs the whole pipeline of this project, or a peer in each camera, on the same detections."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.benchmark.peer import Peer, PeerTracks
from pipeline.config.config import Config
from pipeline.core.datatypes import Detections, Frame, Link
from pipeline.core.decisions import Decision, TrackKey
from pipeline.core.models import Detector, Models
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.files.decision_file import read_decisions
from pipeline.files.results_csv import numbered_trajectories
from pipeline.files.run_folder import DECISIONS_NAME
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes, read_trajectory_boxes
from pipeline.recorded.runner import run
from pipeline.sources.base import FrameSource

_ALL_CANDIDATES = 1_000_000


@dataclass(frozen=True, eq=False)
class Tracked:
    """Result of a run.

    Attributes:
        boxes: camera -> boxes with global ids.
        ms_per_frame: milliseconds of association (and linking) per frame of one camera, without models.
        decisions: why each track has its id, in order; empty unless it was asked for.
        links: the link in the last row of each track; as `decisions`.
    """

    boxes: Mapping[str, TrajectoryBoxes]
    ms_per_frame: float
    decisions: Sequence[Decision] = ()
    links: Mapping[TrackKey, Link] = field(default_factory=dict)


def run_project(
    config: Config,
    limits: MatchLimits,
    sources: list[FrameSource],
    detector: Detector,
    embedder_hash: str,
    *,
    second_pass: bool,
    explained: bool = False,
) -> Tracked:
    """Run this project's trackers and linker on detections with embeddings.

    Args:
        second_pass: whether to return the final ids of the second pass; otherwise the online ids.
        explained: whether to return the decisions, with all their candidates, and the links.
    """
    offline = config.second_pass.model_copy(update={"enabled": second_pass})
    output = config.output.model_copy(update={"save_decisions": explained})
    config = config.model_copy(update={"second_pass": offline, "output": output})
    models = Models(detector, None, {}, embedder_hash)
    with tempfile.TemporaryDirectory() as folder:
        summary = run(config, limits, models, sources, Path(folder), candidates=_ALL_CANDIDATES)
        path = Path(folder) / "trajectories.csv"
        boxes = read_trajectory_boxes(path, interpolated=False)
        decisions = list(read_decisions(Path(folder) / DECISIONS_NAME)) if explained else []
        links = _last_links(path) if explained else {}
    busy_s = sum(summary.stage_s.get(stage, 0.0) for stage in ("track", "link", "second pass"))
    return Tracked(boxes, busy_s * 1000 / summary.frames, decisions, links)


def _last_links(path: Path) -> dict[TrackKey, Link]:
    """Return the link in the last row of each track. Rows that were written before the decision have another one."""
    return {
        (linked.row.camera_id, linked.row.track_id): linked.link
        for _, linked in numbered_trajectories(path, strict=True)
    }


def run_peer(
    peer: Peer,
    sources: list[FrameSource],
    detector: Detector,
    on_tracks: Callable[[Frame, Detections, PeerTracks], None] = lambda frame, detections, tracks: None,
) -> Tracked:
    """Run a peer in each camera separately: no id occurs in two cameras.

    Args:
        sources: with pictures if the peer needs them.
        on_tracks: called with each frame, its detections and its tracks; its time is included in `ms_per_frame`.
    """
    boxes: dict[str, TrajectoryBoxes] = {}
    frames = busy_s = 0.0
    first_id = 1
    for source in sources:
        tracker = peer.start(source.frame_rate)
        found: list[tuple[int, PeerTracks]] = []
        try:
            for frame in source:
                (detections,) = detector.detect([frame])
                began = time.perf_counter()
                tracks = tracker.update(frame, _without_embeddings(detections))
                on_tracks(frame, detections, tracks)
                busy_s += time.perf_counter() - began
                frames += 1
                found.append((frame.frame_index, tracks))
        finally:
            tracker.close()
        boxes[source.camera_id] = camera = _camera_boxes(found, first_id)
        first_id = int(camera.boxes.ids.max(initial=first_id)) + 1
    return Tracked(boxes, busy_s * 1000 / max(frames, 1))


def _without_embeddings(detections: Detections) -> Detections:
    return Detections(detections.xyxy, detections.confidence, detections.class_id)


def _camera_boxes(found: list[tuple[int, PeerTracks]], first_id: int) -> TrajectoryBoxes:
    """Return the boxes of one camera, with ids renumbered from `first_id`."""
    number: dict[int, int] = defaultdict(lambda: first_id + len(number))
    frame_index = np.array([frame for frame, tracks in found for _ in tracks.ids], np.int64)
    track_id = np.array([i for _, tracks in found for i in tracks.ids.tolist()], np.int64)
    ids = np.array([number[i] for i in track_id.tolist()], np.int64)
    xyxy = np.concatenate([tracks.xyxy for _, tracks in found]) if found else np.zeros((0, 4))
    return TrajectoryBoxes(TrackBoxes(frame_index, ids, xyxy, np.ones(len(ids))), track_id)
