"""Runs of the whole pipeline on a simulated world, without a model or a video."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from pipeline.association.associator import Associator
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.config.config import load_config
from pipeline.core.models import Detector, Embedder, Models
from pipeline.core.yaml_file import merge
from pipeline.recorded import runner
from pipeline.recorded.run_summary import RunSummary
from pipeline.recorded.runner import run
from pipeline.sources.base import FrameSource
from tests.helpers.factories import limits_of


class SimulatedRun:
    """A run over `frames` frames of every camera of the world, or over `sources`, into a folder.

    Args:
        detector, embedder: in place of the world's; `embedder=None` for none.
        settings: over the defaults, as in a configuration file; few frames are decoded ahead.
        cameras: settings of each camera, by name.
    """

    def __init__(
        self,
        world: SimulatedWorld,
        frames: int = 0,
        *,
        sources: Sequence[FrameSource] | None = None,
        detector: Detector | None = None,
        embedder: Embedder | Literal["of the world"] | None = "of the world",
        epoch_utc: datetime | None = None,
        cameras: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        named = [{"name": name, "source": name, **cameras.get(name, {})} for name in world.camera_ids]
        base: dict[str, Any] = {
            "cameras": named,
            "output": {"interpolate": False},
            "runtime": {"prefetch_frames": 2, "prefetch_ticks": 2},
        }
        self._config = load_config(None, merge(base, settings))
        self.sources = world.sources(frames) if sources is None else sources
        self.models = Models(
            detector or world.detector(),
            world.embedder() if embedder == "of the world" else embedder,
            {"python": "3"},
        )
        self._epoch_utc = epoch_utc

    def into(self, folder: Path, **options: Any) -> RunSummary:
        """Run; the folder is made."""
        folder.mkdir(parents=True, exist_ok=True)
        limits = limits_of(self._config)
        return run(self._config, limits, self.models, self.sources, folder, epoch_utc=self._epoch_utc, **options)


#: Settings that leave the online ids.
ONLINE = MappingProxyType({"second_pass": {"enabled": False}})


@contextmanager
def built_associators() -> Iterator[list[Associator]]:
    """The associators that runs build while the context is open."""
    built: list[Associator] = []
    build = runner.build_associator

    def noted(*arguments: Any, **options: Any) -> Associator:
        built.append(build(*arguments, **options))
        return built[-1]

    runner.build_associator = noted
    try:
        yield built
    finally:
        runner.build_associator = build


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
