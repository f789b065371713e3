"""An associator by hand, and what comes out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pipeline.association.associator import Associator, DetectedFrame
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.core.datatypes import Detections, Link, LinkedRow, Tracklet
from pipeline.core.models import PEOPLE, Embedder, embedded_classes
from pipeline.core.stage_clock import StageClock
from pipeline.floor.camera_geometry import CameraGeometry
from tests.helpers.factories import (
    linker_settings,
    make_linker,
    make_tracker,
    tracker_settings,
)

BOX = (300, 200, 340, 300)


def associator(
    *camera_ids: str,
    embedder: Embedder | None = None,
    geometries: Mapping[str, CameraGeometry] | None = None,
    hold_s: float = 0.8,
    max_centred_cosine_distance: float | None = None,
) -> Associator:
    return Associator(
        geometries=geometries or {name: CameraGeometry(None, None) for name in camera_ids},
        new_tracker=make_tracker,
        linker=make_linker(camera_ids, linker_settings(max_centred_cosine_distance=max_centred_cosine_distance)),
        embedder=embedder,
        class_names={0: "person", 1: "dog"},
        embedded_classes=PEOPLE if embedder is None else embedded_classes(embedder),
        hold_s=hold_s,
        max_silence_s=tracker_settings().max_lost_s,
        max_detections=300,
        clock=StageClock(),
    )


def run(parts: Associator, ticks: Iterator[list[DetectedFrame]]) -> tuple[list[LinkedRow], list[Tracklet]]:
    rows: list[LinkedRow] = []
    ended: list[Tracklet] = []
    for tick in ticks:
        done = parts.process(tick)
        rows += done.rows
        ended += done.ended
    done = parts.finish()
    return rows + done.rows, ended + done.ended


def of_world(
    world: SimulatedWorld, frames: int, change: Callable[[Detections], Detections] = lambda found: found
) -> Iterator[list[DetectedFrame]]:
    detector = world.detector()
    for tick in zip(*world.sources(frames), strict=True):
        yield [(frame, change(found)) for frame, found in zip(tick, detector.detect(tick), strict=True)]


def assert_once(rows: list[LinkedRow], ids: Mapping[tuple[str, int], Link] | None = None) -> None:
    """No track and no global id twice in a frame of a camera."""
    tracks = Counter((x.row.camera_id, x.row.frame_index, x.row.track_id) for x in rows)
    people = Counter(
        (x.row.camera_id, x.row.frame_index, (ids[x.row.camera_id, x.row.track_id] if ids else x.link).global_id)
        for x in rows
    )
    assert max(tracks.values(), default=1) == 1
    assert max(people.values(), default=1) == 1
