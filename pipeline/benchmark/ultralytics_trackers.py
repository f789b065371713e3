"""The trackers of the package Ultralytics, called as by its own `model.track`, with their own settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from detectors.ultralytics_import import import_ultralytics
from pipeline.benchmark.peer import Peer, PeerTracker, PeerTracks
from pipeline.core.datatypes import Detections, Frame

#: Name of the settings file -> name in tables.
TRACKERS: Mapping[str, str] = MappingProxyType(
    {
        "bytetrack": "ByteTrack",
        "botsort": "BoT-SORT",
        "ocsort": "OC-SORT",
        "deepocsort": "Deep OC-SORT",
        "fasttrack": "FastTrack",
        "tracktrack": "TrackTrack",
    }
)


def ultralytics_peers() -> list[Peer]:
    """Return all its trackers without re-identification. Camera motion is not compensated, because the cameras are
    fixed."""
    return [Peer(f"Ultralytics {label}", partial(_Tracker, name)) for name, label in TRACKERS.items()]


def bytetrack() -> Peer:
    """Return ByteTrack."""
    return ultralytics_peers()[list(TRACKERS).index("bytetrack")]


class _Tracker(PeerTracker):
    def __init__(self, name: str, frame_rate: float) -> None:
        # `frame_rate` is not used: the package counts its buffers in frames.
        import_ultralytics()
        from ultralytics.trackers.track import TRACKER_MAP
        from ultralytics.utils import YAML, IterableSimpleNamespace
        from ultralytics.utils.checks import check_yaml

        values = YAML.load(check_yaml(f"{name}.yaml"))  # type: ignore[no-untyped-call]
        settings = IterableSimpleNamespace(**{**values, "device": "cpu"})
        if hasattr(settings, "gmc_method"):
            settings.gmc_method = "none"
        self._tracker: Any = TRACKER_MAP[settings.tracker_type](args=settings)

    def update(self, frame: Frame, detections: Detections) -> PeerTracks:
        from ultralytics.engine.results import Boxes

        rows = np.column_stack([detections.xyxy, detections.confidence, np.zeros(len(detections), np.float32)])
        width, height = frame.size_wh
        tracks = self._tracker.update(Boxes(rows, (height, width)), frame.image)
        if not len(tracks):
            return PeerTracks.of([], [])
        return PeerTracks.of(tracks[:, 4], tracks[:, :4])

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
