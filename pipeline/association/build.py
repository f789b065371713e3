"""Builds everything between detections and rows, for recordings, live video and benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

from pipeline.association.associator import Associator
from pipeline.config.config import Config
from pipeline.core.datatypes import Correction
from pipeline.core.models import Embedder
from pipeline.core.stage_clock import StageClock
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.second_pass import SecondPass
from pipeline.floor.camera_geometry import CameraGeometry
from pipeline.single_camera.tracker import SingleCameraTracker

# Live rows wait for unconfirmed tracks, but not for those of a camera that has been silent for this long.
_LIVE_UNCONFIRMED_WAIT_S = 0.5


def build_associator(
    config: Config,
    limits: MatchLimits,
    *,
    geometries: Mapping[str, CameraGeometry],
    embedder: Embedder | None,
    class_names: Mapping[int, str],
    clock: StageClock,
    on_correction: Callable[[Correction], None] | None = None,
) -> Associator:
    """Build the trackers, the linker and the buffer of rows that wait for ids.

    Args:
        geometries: by camera, in the order of the cameras; live cameras may be added later.
        on_correction: called with each correction of released rows. A value other than None means a live run: no
            second pass follows, and the waiting times of `config.live` apply.
    """
    live = on_correction is not None
    linker = OnlineLinker(
        list(geometries),
        config.linker,
        limits.linker,
        decisions_are_final=live,
        on_correction=on_correction,
    )
    return Associator(
        geometries=geometries,
        new_tracker=lambda: SingleCameraTracker(config.tracker, limits.tracker),
        linker=linker,
        embedder=embedder,
        class_names=class_names,
        hold_s=config.live.hold_s if live else config.linker.hold_s,
        max_silence_s=config.live.max_silence_s if live else config.tracker.max_lost_s,
        max_detections=config.detector.max_detections,
        clock=clock,
        unconfirmed_wait_s=_LIVE_UNCONFIRMED_WAIT_S if live else inf,
    )


def build_second_pass(config: Config, limits: MatchLimits, camera_ids: Sequence[str]) -> SecondPass:
    """Build the second pass over the tracklets of these cameras."""
    return SecondPass(camera_ids, config.second_pass, config.linker, limits.second_pass)
