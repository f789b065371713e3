"""Measures the time of association with many crowded cameras and many known identities."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pipeline.association.associator import DetectedFrame
from pipeline.association.build import build_associator
from pipeline.benchmark.one_core import one_core
from pipeline.benchmark.peer import Peer
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.config.calibration import resolved_limits
from pipeline.config.config import Config
from pipeline.core.datatypes import Frame
from pipeline.core.stage_clock import StageClock
from pipeline.floor.camera_geometry import CameraGeometry

# Large enough that the simulated people stay apart.
_SIZE_WH = (1920, 1080)
_VIEW_S = 20.0


@dataclass(frozen=True)
class LoadFigures:
    """The measured figures.

    Attributes:
        association_ms: milliseconds per camera frame that this project takes, including linking.
        peer_ms: milliseconds per camera frame that the peer takes, in one camera and without linking.
        tracks: mean number of confirmed and visible tracks per camera frame.
        identities: number of identities known at the end.
        features: mean number of embeddings per identity.
    """

    association_ms: float
    peer_ms: float
    tracks: float
    identities: int
    features: float


def measure(
    config: Config,
    peer: Peer,
    *,
    cameras: int,
    people_in_view: int,
    identities: int,
    embedding_dim: int,
    warmup_s: float,
    measured_s: float,
) -> LoadFigures:
    """Measure association for simulated cameras, each with `people_in_view` people, on one core, without embedding.

    People walk from camera to camera. The time between two views is set so that there are `identities` people in all.

    Args:
        config: settings of tracker and linker; its cameras are not used. The match limits are the strict defaults
            that apply without a calibration, unless the configuration has numbers.
        peer: gets the boxes of the first camera.
        warmup_s: seconds of the world before measuring, until the identities are known.
    """
    visible = cameras * people_in_view
    world = SimulatedWorld(
        cameras=cameras,
        people=identities,
        view_s=_VIEW_S,
        blind_s=_VIEW_S * (identities / visible - 1),
        size_wh=_SIZE_WH,
        embedding_dim=embedding_dim,
    )
    clock = StageClock()
    associator = build_associator(
        config,
        resolved_limits(config, None),
        geometries={camera_id: CameraGeometry(None, None) for camera_id in world.camera_ids},
        embedder=world.embedder(),
        class_names={0: "person"},
        clock=clock,
    )
    begin_s = cameras * (world.view_s + world.blind_s)  # from here on the world is full
    busy_s = rows = frames = 0.0
    ticks: list[list[DetectedFrame]] = []
    with one_core():
        for number in range(round((warmup_s + measured_s) * world.frame_rate)):
            tick = _tick(world, begin_s + number / world.frame_rate, number)
            embedded_s = clock.seconds.get("embed", 0.0)
            began = time.perf_counter()
            associated = associator.process(tick)
            spent = time.perf_counter() - began - (clock.seconds.get("embed", 0.0) - embedded_s)
            if number >= warmup_s * world.frame_rate:
                ticks.append(tick[:1])
                busy_s += spent
                rows += len(associated.rows)
                frames += len(tick)
        peer_s = _peer_seconds(peer, world.frame_rate, ticks)
    return LoadFigures(
        association_ms=busy_s / frames * 1000,
        peer_ms=peer_s / len(ticks) * 1000,
        tracks=rows / frames,
        identities=associator.linker.known_identities,
        features=associator.linker.features_per_identity,
    )


def _tick(world: SimulatedWorld, time_s: float, frame_index: int) -> list[DetectedFrame]:
    frames = [Frame(camera_id, frame_index, time_s, world.size_wh, _NO_PICTURE) for camera_id in world.camera_ids]
    return list(zip(frames, world.detector().detect(frames), strict=True))


# One black pixel broadcast to the size of the picture, which takes no memory.
_NO_PICTURE = np.broadcast_to(np.uint8(0), (_SIZE_WH[1], _SIZE_WH[0], 3))


def _peer_seconds(peer: Peer, frame_rate: float, ticks: list[list[DetectedFrame]]) -> float:
    tracker = peer.start(frame_rate)
    try:
        began = time.perf_counter()
        for ((frame, detections),) in ticks:
            tracker.update(frame, detections)
        return time.perf_counter() - began
    finally:
        tracker.close()
