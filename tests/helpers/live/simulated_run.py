"""Live runs with made-up cameras and models, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config.config import Config
from pipeline.core.datatypes import LinkedRow
from pipeline.core.models import Detector, Embedder, Models
from pipeline.core.redaction import Redactor
from pipeline.drawing.preview_feed import PreviewFeed, PreviewHook
from pipeline.files.results_csv import read_trajectories
from pipeline.live.cameras.fleet import CameraPlan
from pipeline.live.cameras.stream import LiveStream
from pipeline.live.output.segments import segments
from pipeline.live.run import LiveRun
from pipeline.live.sinks.base import Sink
from tests.helpers.factories import limits_of
from tests.helpers.live.fakes import one_look, one_person
from tests.helpers.live.watched_fleet import site

Doors = Mapping[str, Callable[[], LiveStream]]


@dataclass(frozen=True)
class DoorOf:
    """Opens the camera's door; another one if the camera is another."""

    source: str
    transport: str
    door: Callable[[], LiveStream] = field(compare=False)

    def __call__(self) -> LiveStream:
        return self.door()


@contextmanager
def live_run(
    folder: Path,
    doors: Doors,
    *,
    detector: Detector | None = None,
    embedder: Embedder | None = None,
    live: Mapping[str, Any] | None = None,
    preview: PreviewHook | None = None,
    config: Config | None = None,
    more_sinks: Sequence[tuple[str, Callable[[], Sink]]] = (),
) -> Iterator[LiveRun]:
    """A run that has started; it writes into folder/out and is stopped at the end."""

    def plans_of(config: Config) -> list[CameraPlan]:
        return [
            CameraPlan(camera.name, DoorOf(camera.source, camera.transport, doors[camera.name]))
            for camera in config.cameras
        ]

    config = config or site(folder, dict.fromkeys(doors, "rtsp://127.0.0.1/x"), live)
    run = LiveRun(
        config,
        limits_of(config),
        Models(detector or one_person(), embedder or one_look(), {"mtmc": "test"}),
        folder / "out",
        plans_of=plans_of,
        redact=Redactor(),
        previews=[] if preview is None else [PreviewFeed(preview, config.live.preview_fps)],
        more_sinks=more_sinks,
    )
    try:
        run.start()
        yield run
    finally:
        run.stop()


def rows_in(folder: Path) -> list[LinkedRow]:
    """All rows of all runs, in file order."""
    return [linked for path in segments(folder / "out") for linked in read_trajectories(path)]


def rows_of(folder: Path, camera: str) -> list[LinkedRow]:
    return [linked for linked in rows_in(folder) if linked.row.camera_id == camera]
