"""Parts of a run that do not return: said, seen from outside, and left behind at the end."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.config.config import Config, load_config
from pipeline.core.datatypes import Detections, FloatArray, Frame
from pipeline.core.errors import RunError
from pipeline.core.fake_models import FakeDetector, FakeEmbedder
from pipeline.live import reload
from tests.helpers.live.fakes import FakeStream, one_look, one_person, steady
from tests.helpers.live.simulated_run import live_run, rows_in
from tests.helpers.live.waiting import HICCUP_S, eventually

DOORS = {"a": lambda: FakeStream(steady(20))}
QUICK = {"stuck_after_s": 0.5, "stuck_exit_s": 2.0}


class Hanging:
    """Hangs when it is told to."""

    def __init__(self) -> None:
        self.hang, self.release = threading.Event(), threading.Event()

    def wait(self) -> None:
        if self.hang.is_set():
            self.release.wait(60)


def hanging_detector(switch: Hanging) -> FakeDetector:
    person = one_person()

    def boxes_of(frame: Frame) -> Detections:
        switch.wait()
        return person.detect([frame])[0]

    return FakeDetector(boxes_of)


def failing_detector(switch: Hanging) -> FakeDetector:
    person = one_person()

    def boxes_of(frame: Frame) -> Detections:
        if switch.hang.is_set():
            raise RuntimeError("device-side assert")
        return person.detect([frame])[0]

    return FakeDetector(boxes_of)


def hanging_embedder(switch: Hanging) -> FakeEmbedder:
    def vectors_of(frame: Frame, xyxy: FloatArray) -> FloatArray:
        switch.wait()
        return one_look().embed([frame], [xyxy])[0]

    return FakeEmbedder(vectors_of, 64)


MODELS: dict[str, Callable[[Hanging], dict[str, Any]]] = {
    "the detector": lambda switch: {"detector": hanging_detector(switch)},
    "the detector (it fails)": lambda switch: {"detector": failing_detector(switch)},
    "tracking (with the embedder)": lambda switch: {
        "embedder": hanging_embedder(switch),
        "detector": one_person(),
    },
}


@pytest.mark.parametrize("part", MODELS)
def test_models_that_do_not_return_are_said_and_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    switch = Hanging()
    name = part.removesuffix(" (it fails)")
    live = {**QUICK}

    def watch() -> None:
        with live_run(tmp_path, DOORS, live=live, **MODELS[part](switch)) as run:
            eventually(lambda: run.status().rows_written > 5, 15)
            assert (run.status().alive, run.status().stuck) == (True, "")
            switch.hang.set()
            eventually(lambda: not run.status().alive, 5 + HICCUP_S)
            status = run.status()
            assert name in status.stuck
            assert not status.ready
            assert not run.finished
            eventually(lambda: run.finished, 5 + HICCUP_S)

    try:
        with pytest.raises(RunError, match=r"has not returned for [0-9]+ s.*, so the run ended; start it again"):
            watch()
    finally:
        switch.release.set()
    assert f"{name} has not returned for" in caplog.text
    [path] = (tmp_path / "out").glob("manifest-*.json")
    assert json.loads(path.read_text())["state"] == "failed"


def test_a_part_that_returns_is_said_and_the_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    switch = Hanging()
    live = {**QUICK, "stuck_exit_s": 30.0}
    with live_run(tmp_path, DOORS, live=live, detector=hanging_detector(switch)) as run:
        eventually(lambda: run.status().rows_written > 5, 15)
        switch.hang.set()
        eventually(lambda: not run.status().alive, 5)
        eventually(lambda: "the detector has not returned" in caplog.text, 5)
        switch.hang.clear()
        switch.release.set()
        eventually(lambda: run.status().alive, 5)
        eventually(lambda: "the detector works again" in caplog.text, 5)


def test_no_new_configuration_waits_for_tracking_that_hangs(tmp_path: Path) -> None:
    switch = Hanging()

    def watch() -> None:
        with live_run(
            tmp_path, DOORS, embedder=hanging_embedder(switch), live={"stuck_exit_s": 600.0, "hold_s": 0.1}
        ) as run:
            eventually(lambda: run.status().rows_written > 5, 15)
            config = load_config(tmp_path / "site.yaml")
            switch.hang.set()
            eventually(lambda: run._parts.inference.tracking_s > 0.3, 15)
            began_s = time.monotonic()
            run.reload(lambda: config)
            assert time.monotonic() - began_s < 5 + HICCUP_S
            assert run.status().reload_problem == "tracking does not return"

    try:
        with pytest.raises(RunError, match="did not return in time"):
            watch()
    finally:
        switch.release.set()


def test_a_configuration_on_a_disk_that_does_not_answer_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_READ_S", 0.5)
    answers = threading.Event()
    with live_run(tmp_path, DOORS) as run:
        eventually(lambda: run.status().rows_written > 5, 15)
        config = load_config(tmp_path / "site.yaml")

        def late() -> Config:
            answers.wait(60)
            return config

        began_s = time.monotonic()
        run.reload(late)
        assert "could not be read within 0.5 s" in run.status().reload_problem
        threads = threading.active_count()
        run.reload(late)
        assert "still being read" in run.status().reload_problem
        assert threading.active_count() <= threads
        assert time.monotonic() - began_s < 0.5 + HICCUP_S
        answers.set()
        eventually(lambda: threading.active_count() < threads, 5)
        run.reload(lambda: config)
        assert (run.status().reload_problem, run.status().reloads) == ("", 1)


class BlockedDisk:
    """A disk that does not return from writing into a folder while `blocked` is set, as a dead file server."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, calls: Sequence[str]) -> None:
        self.blocked, self.release = threading.Event(), threading.Event()
        for name in calls:
            monkeypatch.setattr(os, name, self._waiting(getattr(os, name), str(folder)))

    def _waiting(self, real: Callable[..., Any], folder: str) -> Callable[..., Any]:
        def call(target: Any, *more: Any, **named: Any) -> Any:
            if self.blocked.is_set() and self._is_there(target, folder):
                self.release.wait(60)
            return real(target, *more, **named)

        return call

    def _is_there(self, target: Any, folder: str) -> bool:
        place = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(target)
        return place.startswith(folder)


@pytest.mark.parametrize("calls", [("write",), ("write", "fsync", "replace"), ("fsync",)], ids=" ".join)
def test_a_disk_that_does_not_answer_is_seen_and_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, calls: Sequence[str]
) -> None:
    disk = BlockedDisk(tmp_path / "out", monkeypatch, calls)
    live = {"stuck_after_s": 1.0, "checkpoint_interval_s": 0.5}

    def watch() -> None:
        nonlocal stop_s
        with live_run(tmp_path, DOORS, live=live) as run:
            eventually(lambda: run.status().rows_written > 5, 15)
            disk.blocked.set()
            seen_s = eventually(lambda: not run.status().ready, 10)
            eventually(lambda: "the disk has not answered" in run.status().writer_problem, 10)
            eventually(lambda: "the disk (rows) has not returned" in caplog.text, 10)
            print(f"a blocked disk: seen after {seen_s:.1f} s")
            status = run.status()
            assert status.alive  # tracking goes on, a restart would not help
            inferred = status.cameras[0].inferred
            eventually(lambda: run.status().cameras[0].inferred > inferred + 10, 5)
            stop_s = time.monotonic()

    stop_s = float("inf")
    try:
        with pytest.raises(RunError, match=r"rows are lost \(the disk did not answer\)"):
            watch()
        assert time.monotonic() - stop_s < 2 + HICCUP_S
    finally:
        disk.release.set()


def test_a_disk_that_answers_again_gets_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = BlockedDisk(tmp_path / "out", monkeypatch, ("write",))
    with live_run(tmp_path, DOORS, live={"max_fps": 20.0}) as run:
        eventually(lambda: run.status().rows_written > 5, 15)
        disk.blocked.set()
        eventually(lambda: not run.status().writer_ok, 10)
        disk.blocked.clear()
        disk.release.set()
        eventually(lambda: run.status().ready, 5)
    status = run.status()
    assert status.rows_lost == 0
    assert len(rows_in(tmp_path)) == status.cameras[0].inferred


def test_a_status_that_lacks_a_descriptor_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live_run(tmp_path, DOORS) as run:
        before = run.status().memory_bytes

        def none_free(self: psutil.Process) -> object:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(psutil.Process, "memory_info", none_free)
        assert run.status().memory_bytes == before > 0
