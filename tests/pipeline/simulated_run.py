"""Runs of the whole pipeline on a simulated world, without a model or a video."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.second_pass import SecondPass
from pipeline.cross_camera.settings import LinkerSettings
from pipeline.floor.camera_geometry import CameraGeometry
from pipeline.recorded.run_summary import RunSummary
from pipeline.recorded.runner import Parts, run
from pipeline.single_camera.tracker import SingleCameraTracker
from pipeline.sources.base import FrameSource
from tests.factories import linker_settings, second_pass_settings, tracker_settings


def make_parts(
    world: SimulatedWorld,
    frames: int = 0,
    *,
    sources: Sequence[FrameSource] | None = None,
    geometries: Mapping[str, CameraGeometry] | None = None,
    linker: LinkerSettings | None = None,
    **changes: Any,
) -> Parts:
    """The parts of a run over `frames` frames of every camera of the world, or over `sources`."""
    settings = linker or linker_settings()
    tracker = tracker_settings()
    names = world.camera_ids
    parts = Parts(
        sources=world.sources(frames) if sources is None else sources,
        detector=world.detector(),
        embedder=world.embedder(),
        embedder_hash="fake",
        geometries=geometries or {name: CameraGeometry(None, None) for name in names},
        trackers={name: SingleCameraTracker(tracker) for name in names},
        linker=OnlineLinker(names, settings),
        second_pass=SecondPass(names, second_pass_settings(), settings),
        hold_s=settings.hold_s,
        max_silence_s=tracker.max_lost_s,
        max_detections=300,
        epoch_utc=None,
        interpolate_max_gap_s=None,
        embed_every_box=False,
        prefetch_frames=2,
        prefetch_ticks=2,
    )
    return dataclasses.replace(parts, **changes)


def run_parts(parts: Parts, folder: Path, **options: Any) -> RunSummary:
    """Run them into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return run(parts, folder, config={"name": "test"}, versions={"python": "3"}, **options)


def csv_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of trajectories.csv by column."""
    with (folder / "trajectories.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def person_of(world: SimulatedWorld, row: Mapping[str, str]) -> int:
    """Who really is in the box of a row."""
    present = world.people_in(row["camera_id"], float(row["time_s"]))
    box = np.array([float(row[name]) for name in ("x1", "y1", "x2", "y2")])
    offsets = [float(np.abs(np.clip(xyxy, 0, None) - box).max()) for _, xyxy in present]
    # Times have milliseconds, people walk some ten pixels a second.
    assert min(offsets) < 0.5
    return present[int(np.argmin(offsets))][0]


def assert_unique(rows: Sequence[Mapping[str, str]]) -> None:
    """No box twice, and no global id twice in a frame of a camera."""
    for column in ("track_id", "global_id"):
        keys = [(row["camera_id"], row["frame_index"], row[column]) for row in rows]
        assert len(set(keys)) == len(keys), column
