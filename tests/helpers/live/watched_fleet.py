"""A fleet of cameras with somebody who takes their frames, for tests of connections."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.config.config import Config, load_config
from pipeline.core.redaction import Redactor
from pipeline.live.cameras.camera_plans import camera_plans
from pipeline.live.cameras.fleet import CameraFleet
from pipeline.live.cameras.frame_board import LiveFrame
from pipeline.live.host_clock import HostClock
from pipeline.live.telling.status import CameraState, CameraStatus


def _forgotten() -> NDArray[np.uint8]:
    raise AssertionError("only the newest frame keeps its pixels")


class WatchedFleet:
    """Takes every frame at once and keeps all but their pixels; those only of the newest."""

    def __init__(self, config: Config, consume: Callable[[list[LiveFrame]], None] | None = None) -> None:
        self.redact = Redactor()
        self.clock = HostClock()
        self.fleet = CameraFleet(config.live, self.clock, self.redact)
        self.frames: dict[str, list[LiveFrame]] = defaultdict(list)
        self.newest: dict[str, LiveFrame] = {}
        self.ages_s: dict[str, list[float]] = defaultdict(list)
        self._consume = consume
        self._stop = threading.Event()
        self._config = config
        self._thread = threading.Thread(target=self._take, name="consumer")

    def start(self) -> None:
        self.fleet.start(camera_plans(self._config, simulate_live=True, redact=self.redact))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.fleet.stop(5.0)

    def status(self, name: str) -> CameraStatus:
        return next(camera for camera in self.fleet.status() if camera.name == name)

    def up(self, name: str) -> bool:
        return self.status(name).state is CameraState.UP

    def count(self, name: str) -> int:
        return len(self.frames[name])

    def _take(self) -> None:
        live = self._config.live
        while not self._stop.is_set():
            taken = self.fleet.board.take(wait_s=0.1, batch_wait_s=0.0, max_age_s=live.max_age_s)
            now_s = self.clock.monotonic_s()
            for frame in taken:
                self.frames[frame.camera_id].append(replace(frame, to_bgr=_forgotten))
                self.newest[frame.camera_id] = frame
                self.ages_s[frame.camera_id].append(frame.age_s + now_s - frame.arrived_s)
            if taken and self._consume is not None:
                self._consume(taken)


def site(folder: Path, cameras: Mapping[str, Any], live: Mapping[str, Any] | None = None) -> Config:
    """A configuration of cameras: names and their sources, or all their settings."""
    entries = [
        {"name": name, **(settings if isinstance(settings, dict) else {"source": settings})}
        for name, settings in cameras.items()
    ]
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump({"cameras": entries, "live": dict(live or {})}), encoding="utf-8")
    return load_config(path)


@contextmanager
def watched(config: Config, consume: Callable[[list[LiveFrame]], None] | None = None) -> Iterator[WatchedFleet]:
    """A fleet that runs, stopped at the end."""
    fleet = WatchedFleet(config, consume)
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop()
