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
    return [ultralytics_peer(name) for name in TRACKERS]


def bytetrack() -> Peer:
    """Return ByteTrack."""
    return ultralytics_peer("bytetrack")


def ultralytics_peer(name: str, changed: Mapping[str, float] = MappingProxyType({})) -> Peer:
    """Return one of `TRACKERS`.

    Args:
        name: name of its settings file.
        changed: settings that replace those of the file.
    """
    return Peer(f"Ultralytics {TRACKERS[name]}", partial(_Tracker, name, changed))


def limits_of_tracker(name: str) -> dict[str, float]:
    """Return the settings of a tracker that are numbers with a fraction and not 0: thresholds, weights and gates."""
    return {key: value for key, value in _settings(name).items() if isinstance(value, float) and value}


def _settings(name: str) -> dict[str, Any]:
    """Return the values of a settings file."""
    import_ultralytics()
    from ultralytics.utils import YAML
    from ultralytics.utils.checks import check_yaml

    return dict(YAML.load(check_yaml(f"{name}.yaml")))  # type: ignore[no-untyped-call]


class _Tracker(PeerTracker):
    def __init__(self, name: str, changed: Mapping[str, float], frame_rate: float) -> None:
        # `frame_rate` is not used: the package counts its buffers in frames.
        import_ultralytics()
        from ultralytics.trackers.track import TRACKER_MAP
        from ultralytics.utils import IterableSimpleNamespace

        settings = IterableSimpleNamespace(**{**_settings(name), **changed, "device": "cpu"})
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
