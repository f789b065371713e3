"""Cameras that stay away for days: attempts that never succeed must cost nothing that stays."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import psutil
import pytest

from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.stream import AvOpener, LiveStream, StreamOptions
from pipeline.live.run import LiveRun
from pipeline.live.telling.status import CameraState
from tests.helpers.live.servers import free_port
from tests.helpers.live.simulated_run import Doors, live_run
from tests.helpers.live.waiting import eventually

# One camera is tried at most ten times a second.
CAMERAS_OF_A_KIND = 30
ATTEMPTS = 3000
# A reader that is kept from each attempt takes twice this.
GROWTH_BYTES = 10e6


def broken() -> LiveStream:
    raise RuntimeError("a mistake in the reader")


def gone() -> LiveStream:
    raise StreamProblem(Reason.NOT_FOUND, "there is no such stream")


def offline_cameras() -> Doors:
    """A closed port for FFmpeg, and openers that fail in both ways in which one can."""
    address = StreamAddress(f"rtsp://127.0.0.1:{free_port()}/cam")
    refused = AvOpener(address, StreamOptions("tcp", 5.0, 5.0), Redactor())
    kinds = {"refused": refused, "broken": broken, "gone": gone}
    return {f"{kind}{number}": door for kind, door in kinds.items() for number in range(CAMERAS_OF_A_KIND)}


def attempts(run: LiveRun, kind: str = "") -> int:
    return sum(sum(one.reconnects.values()) for one in run.status().cameras if one.name.startswith(kind))


@pytest.mark.faults
def test_thousands_of_refused_attempts_take_no_memory(tmp_path: Path) -> None:
    process = psutil.Process()
    doors = offline_cameras()
    live = {"retry_min_s": 0.001, "retry_max_s": 0.001, "checkpoint_interval_s": 0.5}
    files, threads = process.num_fds(), set(threading.enumerate())
    with live_run(tmp_path, doors, live=live) as run:
        eventually(lambda: attempts(run) >= 500, 20)  # what is kept once is kept by now
        gc.collect()
        memory, before = process.memory_info().rss, attempts(run)
        eventually(lambda: attempts(run) >= before + ATTEMPTS, 60)
        made = {kind: attempts(run, kind) for kind in ("refused", "broken", "gone")}
        states = {one.state for one in run.status().cameras}
        gc.collect()
        grown = process.memory_info().rss - memory
    print(f"{sum(made.values())} refused attempts {made}: {grown / 1e6:+.1f} MB")
    assert min(made.values()) >= ATTEMPTS / 5
    assert states <= {CameraState.CONNECTING, CameraState.WAITING}
    assert grown <= GROWTH_BYTES
    eventually(lambda: set(threading.enumerate()) <= threads, 5, "the end of all threads")
    assert process.num_fds() <= files
