"""The whole run with made-up cameras: what becomes of people, ids and rows."""

from __future__ import annotations

import csv
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.association.associator import Associated, Associator, DetectedFrame
from pipeline.association.gated_detector import GatedDetector
from pipeline.association.motion_gate import GateSettings
from pipeline.config.config import Config
from pipeline.core.datatypes import Correction, Detections, Frame, LinkedRow
from pipeline.core.errors import InputError, RunError
from pipeline.core.fake_models import FakeDetector
from pipeline.core.models import Detector
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.live.cameras.camera_keeper import CameraKeeper
from pipeline.live.cameras.stream import Received
from pipeline.live.output.retention import Retention
from pipeline.live.output.segments import SegmentWriter
from pipeline.live.sinks.base import Sink
from pipeline.live.tracking_core import TrackingCore
from tests.helpers.factories import COSINE_LIMIT
from tests.helpers.live.fakes import FakeStream, one_look, one_person, steady
from tests.helpers.live.simulated_run import live_run, rows_in, rows_of
from tests.helpers.live.waiting import HICCUP_S, eventually
from tests.helpers.live.watched_fleet import site


def test_one_person_in_two_cameras_has_one_id_while_the_run_goes_on(tmp_path: Path) -> None:
    doors = {name: (lambda: FakeStream(steady(10))) for name in ("a", "b")}
    seen: list[tuple[Frame, Sequence[LinkedRow]]] = []
    with live_run(tmp_path, doors, preview=lambda frame, xyxy, rows: seen.append((frame, rows))) as run:
        eventually(lambda: {one.link.global_id for one in rows_of(tmp_path, "b") if one.link.final}, 15)
        eventually(lambda: run.status().identities_now == 1, 10)
        eventually(lambda: any(rows for _, rows in seen), 10)
        eventually(lambda: run.status().ready, 5)
        status = run.status()
        assert [camera.people for camera in status.cameras] == [1, 1]
        assert set(status.row_latency_s) == {0.5, 0.99}
        frame, rows = next((frame, rows) for frame, rows in seen if rows)
        assert frame.image is not None
        assert {(one.row.camera_id, one.row.frame_index) for one in rows} == {(frame.camera_id, frame.frame_index)}
    final = {(one.row.camera_id, one.link.global_id) for one in rows_in(tmp_path) if one.link.final}
    assert {camera for camera, _ in final} == {"a", "b"}
    assert len({global_id for _, global_id in final}) == 1


def test_stopping_loses_no_row_and_the_manifest_says_what_happened(tmp_path: Path) -> None:
    doors = {name: (lambda: FakeStream(steady(20))) for name in "abc"}
    with live_run(tmp_path, doors, live={"max_fps": 20.0}) as run:
        eventually(lambda: run.status().rows_written >= 60, 20)
    status = run.status()
    inferred = {camera.name: camera.inferred for camera in status.cameras}
    written = {name: len(rows_of(tmp_path, name)) for name in "abc"}
    assert written == inferred  # one person in every frame
    assert status.rows_written == sum(written.values())
    [path] = (tmp_path / "out").glob("manifest-*.json")
    manifest = json.loads(path.read_text())
    assert manifest["state"] == "complete"
    assert manifest["config"]["linker"]["max_cosine_distance"] == COSINE_LIMIT
    assert manifest["rows_written"] == status.rows_written
    assert {name: counts["inferred"] for name, counts in manifest["cameras"].items()} == inferred
    assert len(manifest["segments"]) == 1
    assert len(manifest["config_sha256"]) == 64


def test_a_slow_sink_gets_its_rows_at_the_end_and_what_a_dead_one_lost_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[LinkedRow] = []
    ending = threading.Event()

    class Slow:
        """Takes nothing until the run ends."""

        name = "slow"

        def write(self, rows: Sequence[LinkedRow]) -> None:
            ending.wait(30)
            time.sleep(0.1)
            taken.extend(rows)

        def remap(self, corrections: Sequence[Correction]) -> None:
            pass

        def flush(self) -> None:
            pass

        def close(self) -> None:
            pass

    def dead() -> Sink:
        raise ConnectionError("nobody is there")

    with live_run(
        tmp_path, {"a": lambda: FakeStream(steady(10))}, more_sinks=[("slow", Slow), ("dead", dead)]
    ) as run:
        eventually(lambda: run.status().rows_written >= 10, 15)
        assert not taken
        ending.set()
        began_s = time.monotonic()
    # The dead one uses up most of the 2 s that a stop may take.
    assert time.monotonic() - began_s < 2 + HICCUP_S
    count = run.status().rows_written
    assert len(taken) == count
    [path] = (tmp_path / "out").glob("manifest-*.json")
    sinks = {sink["name"]: (sink["rows"], sink["lost"]) for sink in json.loads(path.read_text())["sinks"]}
    assert sinks == {"slow": (count, 0), "dead": (0, count)}
    assert f"sink dead: {count} rows were not delivered" in caplog.text


def test_provisional_ids_are_corrected_in_the_remap_file(tmp_path: Path) -> None:
    """The embedder begins to work when the second camera's track has long been written: its rows had an id of their
    own, which turns out to be the first camera's person."""
    looks = one_look()
    blind = threading.Event()

    class Late:
        dim, model_hash, rejected_crops, unknown_cameras = looks.dim, "late", 0, looks.unknown_cameras
        computation = None

        def embed(self, frames, xyxy):  # type: ignore[no-untyped-def]
            if blind.is_set():
                raise RuntimeError("out of memory")
            return looks.embed(frames, xyxy)

    up = threading.Event()

    def second() -> FakeStream:
        up.wait(30)
        return FakeStream(steady(10))

    with live_run(tmp_path, {"a": lambda: FakeStream(steady(10)), "b": second}, embedder=Late()) as run:
        eventually(lambda: any(one.link.final for one in rows_of(tmp_path, "a")), 15)
        blind.set()
        up.set()
        eventually(lambda: len(rows_of(tmp_path, "b")) >= 3, 15)
        blind.clear()
        eventually(lambda: any(one.link.global_id == 1 for one in rows_of(tmp_path, "b")), 15)
        assert run.status().identities_total == 1
    early = {one.link.global_id for one in rows_of(tmp_path, "b") if not one.link.final}
    with (tmp_path / "out" / "remap.csv").open() as file:
        remap = {int(line["provisional_id"]): int(line["global_id"]) for line in csv.DictReader(file)}
    assert early - {1} == set(remap)
    assert {remap.get(one.link.global_id, one.link.global_id) for one in rows_of(tmp_path, "b")} == {1}


def test_people_are_known_again_after_a_restart_and_ids_are_not_reused(tmp_path: Path) -> None:
    doors = {"a": lambda: FakeStream(steady(10))}
    for run_number in range(3):
        before = len(rows_in(tmp_path)) if run_number else 0
        with live_run(tmp_path, doors):
            eventually(lambda before=before: len(rows_in(tmp_path)) >= before + 10, 15)
    final = [one.link.global_id for one in rows_in(tmp_path) if one.link.final]
    assert set(final) == {1}
    used = {one.link.global_id for one in rows_in(tmp_path)}
    before = len(rows_in(tmp_path))
    with live_run(tmp_path, doors, embedder=one_look(person=1)):
        eventually(lambda: len(rows_in(tmp_path)) >= before + 10, 15)
    assert not used & {one.link.global_id for one in rows_in(tmp_path)[before:]}


def test_cameras_with_clocks_two_seconds_apart_show_one_person_at_one_time(tmp_path: Path) -> None:
    doors = {
        "right": lambda: FakeStream(steady(10, wall_offset_s=0.0)),
        "behind": lambda: FakeStream(steady(10, wall_offset_s=-2.0)),
    }
    with live_run(tmp_path, doors) as run:
        eventually(lambda: min(len(rows_of(tmp_path, name)) for name in doors) >= 40, 20)
        status = {camera.name: camera for camera in run.status().cameras}
    assert status["behind"].clock_offset_s == pytest.approx(2.0, abs=0.4)
    assert status["right"].clock_offset_s == pytest.approx(0.0, abs=0.4)
    assert {name: camera.timestamps for name, camera in status.items()} == {
        "right": "rtcp",
        "behind": "rtcp_corrected",
    }
    assert {one.row.track_id for one in rows_in(tmp_path)} == {1}  # no track was ended for being old
    assert len({one.link.global_id for one in rows_in(tmp_path) if one.link.final}) == 1
    # Frames of one batch are written together, so neighbours in the file were taken together. Times that were 2 s apart
    # would go back at each second row; what goes forward may be a pause of this machine.
    times_s = [one.row.time_s for one in rows_in(tmp_path)]
    assert min(b - a for a, b in itertools.pairwise(times_s)) > -1.0


def test_a_detector_that_fails_loses_its_batch_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    works = one_person()
    calls = itertools.count()

    class Failing:
        class_names, model_hash = works.class_names, "failing"
        computation = None

        def detect(self, frames: Sequence[Frame]) -> list[Detections]:
            if 5 <= next(calls) < 8:
                raise RuntimeError("CUDA error on rtsp://user:secret@host/x")
            return works.detect(frames)

    doors = {"a": lambda: FakeStream(steady(10))}
    with live_run(tmp_path, doors, detector=Failing()) as run:
        eventually(lambda: run.status().cameras[0].dropped.get("detector_error", 0) == 3, 15)
        count = len(rows_in(tmp_path))
        eventually(lambda: len(rows_in(tmp_path)) > count + 10, 15)
        assert run.status().detector_problem == ""
    assert {one.row.track_id for one in rows_in(tmp_path)} == {1}
    assert caplog.text.count("the detector failed") == 1


def test_pictures_that_cannot_be_converted_are_counted_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def unknown() -> NDArray[np.uint8]:
        raise ValueError("unknown pixel format")

    def script() -> Iterator[Received]:
        for received in steady(20):
            yield replace(received, pictures=tuple(replace(one, to_bgr=unknown) for one in received.pictures))

    with live_run(tmp_path, {"a": lambda: FakeStream(script())}) as run:
        eventually(lambda: run.status().cameras[0].dropped.get("corrupt", 0) >= 3, 10)
    assert caplog.text.count("a picture cannot be converted (unknown pixel format)") == 1


def test_a_class_that_the_detector_has_no_name_for_is_a_failure_of_the_detector(tmp_path: Path) -> None:
    def boxes_of(frame: Frame) -> Detections:
        box = np.array([[100, 50, 150, 200]], np.float32)
        return Detections(box, np.ones(1, np.float32), np.full(1, 7 * (frame.frame_index > 10), np.int64))

    with live_run(tmp_path, {"a": lambda: FakeStream(steady(20))}, detector=FakeDetector(boxes_of)) as run:
        eventually(lambda: "class id 7 for frame index" in run.status().detector_problem, 10)
    assert rows_in(tmp_path)


@pytest.mark.parametrize("finishes", [True, False])
def test_a_mistake_in_the_program_ends_the_run_with_what_is_known_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finishes: bool
) -> None:
    """Rows that still wait for their ids are written, too; if that fails as well, they are counted as lost."""
    good: list[int] = []

    def unfinished(self: TrackingCore) -> None:
        raise ZeroDivisionError

    if not finishes:
        monkeypatch.setattr(TrackingCore, "finish", unfinished)

    def boxes_of(frame: Frame) -> Detections:
        if frame.frame_index <= 40:
            good.append(frame.frame_index)
        box = np.array([[100, 50, 150, 200]], np.float32)
        return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))

    process = Associator.process

    def wrong(self: Associator, tick: Sequence[DetectedFrame]) -> Associated:
        if any(frame.frame_index > 40 for frame, _ in tick):
            raise KeyError("a mistake")
        return process(self, tick)

    monkeypatch.setattr(Associator, "process", wrong)
    doors = {"a": lambda: FakeStream(steady(20))}
    with (
        pytest.raises(
            RuntimeError, match=f"the program failed: {'KeyError' if finishes else 'ZeroDivisionError'}"
        ),
        live_run(tmp_path, doors, detector=FakeDetector(boxes_of), live={"hold_s": 1.0}) as run,
    ):
        eventually(lambda: run.finished, 20)
    [path] = (tmp_path / "out").glob("manifest-*.json")
    manifest = json.loads(path.read_text())
    assert manifest["state"] == "failed"
    written = [one.row.frame_index for one in rows_in(tmp_path)]
    assert len(written) >= 5
    assert written == good[: len(written)]
    assert manifest["rows_lost"] == len(good) - len(written)
    assert (manifest["rows_lost"] == 0) is finishes


@pytest.mark.parametrize(
    "part",
    [(CameraKeeper, "tick"), (SegmentWriter, "keep_up"), (Retention, "enforce")],
    ids=["keeper", "writer", "keeping"],
)
def test_no_part_of_the_program_is_missing_for_weeks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: tuple[type, str]
) -> None:
    """A mistake in any of its threads ends the run."""

    def mistaken(self: object, *arguments: object) -> None:
        raise ZeroDivisionError("rtsp://user:secret@host/x")

    def watch() -> None:
        doors = {"a": lambda: FakeStream(steady(20))}
        with live_run(tmp_path, doors, live={"retention": {"check_interval_s": 0.1}}) as run:
            eventually(lambda: run.status().rows_written > 5, 15)
            assert not run.finished
            monkeypatch.setattr(*part, mistaken)
            eventually(lambda: run.finished, 5)

    with pytest.raises(RunError, match="the program failed: ZeroDivisionError") as failure:
        watch()
    assert "secret" not in str(failure.value)
    [path] = (tmp_path / "out").glob("manifest-*.json")
    assert json.loads(path.read_text())["state"] == "failed"


def test_a_person_keeps_the_id_when_the_picture_changes_its_size(tmp_path: Path) -> None:
    def script() -> Iterator[Received]:
        yield from steady(10, frames=25)
        yield from steady(10, size_wh=(640, 480))

    with live_run(tmp_path, {"a": lambda: FakeStream(script())}):
        eventually(lambda: {one.row.track_id for one in rows_in(tmp_path) if one.link.final} == {1, 2}, 20)
    assert len({one.link.global_id for one in rows_in(tmp_path) if one.link.final}) == 1
    small = [one.row.xyxy for one in rows_in(tmp_path) if one.row.track_id == 1]
    large = [one.row.xyxy for one in rows_in(tmp_path) if one.row.track_id == 2]
    assert {max(box) for box in small} == {192.0}
    assert {max(box) for box in large} == {384.0}


def test_a_reload_changes_cameras_or_nothing(tmp_path: Path) -> None:
    opened: list[str] = []

    def counted(name: str):  # type: ignore[no-untyped-def]
        def door() -> FakeStream:
            opened.append(name)
            return FakeStream(steady(10))

        return door

    doors = {name: counted(name) for name in "abc"}

    def config_of(*names: str, live: dict[str, float] | None = None, **settings: object):  # type: ignore[no-untyped-def]
        cameras = {name: {"source": "rtsp://127.0.0.1/x", **settings.get(name, {})} for name in names}  # type: ignore[dict-item]
        return site(tmp_path, cameras, live)

    with live_run(tmp_path, doors, config=config_of("a", "b")) as run:
        eventually(lambda: rows_of(tmp_path, "a") and rows_of(tmp_path, "b"), 15)
        run.reload(lambda: config_of("a", "b", live={"max_fps": 5.0}))
        assert "live.max_fps can only be changed by a restart" in run.status().reload_problem

        def unreadable():  # type: ignore[no-untyped-def]
            raise InputError("site.yaml: cameras.0.source: missing")

        run.reload(unreadable)
        assert "missing" in run.status().reload_problem
        run.reload(lambda: {}["a mistake of the program"])  # type: ignore[arg-type, return-value]
        assert run.status().reload_problem == "KeyError: 'a mistake of the program'"
        assert not run.finished
        assert [camera.name for camera in run.status().cameras] == ["a", "b"]
        assert sorted(opened) == ["a", "b"]

        run.reload(lambda: config_of("a", "c", a={"region_of_interest_px": [[0, 0], [1, 0], [1, 1]]}))
        assert (run.status().reloads, run.status().reload_problem) == (1, "")
        eventually(lambda: len(rows_of(tmp_path, "c")) > 5, 15)
        assert sorted(opened) == ["a", "b", "c"]  # the region is no reason to connect anew
        eventually(lambda: run.status().cameras[0].people == 0, 5)  # nobody stands in it
        run.reload(lambda: config_of("a", "b", "c", a={"transport": "udp"}))
        eventually(lambda: sorted(opened) == ["a", "a", "b", "b", "c"], 10)
        eventually(lambda: run.status().cameras[1].people == 1, 10)
        eventually(lambda: any(one.row.track_id == 2 for one in rows_of(tmp_path, "b")), 15)
    keys = [(one.row.camera_id, one.row.frame_index, one.row.track_id) for one in rows_in(tmp_path)]
    assert len(set(keys)) == len(keys)  # numbers of frames and tracks go on


@pytest.mark.parametrize(
    ("first", "then"),
    [({"crop_xyxy_px": [0, 0, 160, 240]}, {}), ({}, {"transport": "udp"})],
    ids=["crop", "resolution"],
)
def test_frames_from_before_a_reload_do_not_decide_the_calibrated_size(
    tmp_path: Path, first: dict[str, Any], then: dict[str, Any]
) -> None:
    """The homography gives pixels; it is meant for the first picture after the reload, of 320 x 240."""
    sizes_wh = itertools.chain([(320, 240) if first else (640, 480)], itertools.repeat((320, 240)))
    doors = {"a": lambda: FakeStream(steady(20, size_wh=next(sizes_wh)))}
    works, working, go_on = one_person(), threading.Event(), threading.Event()
    go_on.set()

    class Held:
        class_names, model_hash = works.class_names, "held"
        computation = None

        def detect(self, frames: Sequence[Frame]) -> list[Detections]:
            if not go_on.is_set():
                working.set()
                go_on.wait(10)
            return works.detect(frames)

    def config_of(settings: dict[str, Any]) -> Config:
        camera = {"source": "rtsp://127.0.0.1/x", "homography": np.eye(3).tolist(), **settings}
        return site(tmp_path, {"a": camera}, {"max_fps": 20.0})

    with live_run(tmp_path, doors, config=config_of(first), detector=Held()) as run:
        eventually(lambda: rows_in(tmp_path), 10)
        go_on.clear()
        assert working.wait(5)
        run.reload(lambda: config_of(then))
        go_on.set()
        before = len(rows_in(tmp_path))
        eventually(lambda: len(rows_in(tmp_path)) > before + 20, 10)
        assert run.status().cameras[0].dropped["reload"] >= 1
    assert rows_in(tmp_path)[-1].row.world_xy_m == pytest.approx((160.0, 192.0), abs=0.1)


def test_a_run_that_cannot_be_built_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one in the same process has the folder."""
    doors = {"a": lambda: FakeStream(steady(10))}
    threads = set(threading.enumerate())
    for failing in ("load_gallery", "TrackingCore", "RowWriter"):
        with monkeypatch.context() as patched:

            def fails(*arguments: object, **named: object) -> None:
                raise InputError("gallery.npz is of another model")

            patched.setattr(f"pipeline.live.parts.{failing}", fails)
            with pytest.raises(InputError, match="another model"), live_run(tmp_path, doors):
                pass
        eventually(lambda: set(threading.enumerate()) <= threads, 5, "the end of all threads")
    with live_run(tmp_path, doors):
        pass


@pytest.mark.parametrize("name", ["associate", "detect", "supervise", "housekeeping"])
def test_a_run_that_cannot_be_started_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Threads that never ran are not waited for, and the folder is free for the next run."""
    doors = {"a": lambda: FakeStream(steady(10))}
    start = threading.Thread.start

    def too_many(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", too_many)
        with pytest.raises(RuntimeError, match="can't start new thread"), live_run(tmp_path, doors):
            pass
    [path] = (tmp_path / "out").glob("manifest-*.json")
    assert json.loads(path.read_text())["state"] == "failed"
    with live_run(tmp_path, doors):
        pass


def test_people_are_counted_only_while_no_other_thread_changes_the_cameras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks: list[threading.Lock] = []
    held: list[bool] = []

    def in_view(linker: OnlineLinker) -> int:
        held.extend(lock.locked() for lock in locks)
        return 0

    monkeypatch.setattr(OnlineLinker, "in_view", property(in_view))
    with live_run(tmp_path, {"a": lambda: FakeStream(steady(10))}) as run:
        locks.append(run._parts.core_lock)
        eventually(lambda: len(held) > 8, 15)
    assert all(held)


def test_one_folder_takes_one_run(tmp_path: Path) -> None:
    doors = {"a": lambda: FakeStream(steady(10))}
    one, other = live_run(tmp_path, doors), live_run(tmp_path, doors)
    with one, pytest.raises(InputError, match="another `mtmc live`"), other:
        pass


def test_a_class_without_a_model_is_said_and_counted_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    people = one_person()
    people.class_names = {0: "person", 1: "car"}
    with live_run(tmp_path, {"a": lambda: FakeStream(steady(10))}, detector=people) as run:
        eventually(lambda: run.status().identities_total == 1, 15)
        assert run.status().identities_by_class == {"person": 1}
    assert "the re-identification model is not for car" in caplog.text


def test_frames_in_which_nobody_is_and_nothing_moves_are_counted(tmp_path: Path) -> None:
    class Nobody(Detector):
        def detect(self, frames: Sequence[Frame]) -> list[Detections]:
            return [Detections.empty() for _ in frames]

    gate = GateSettings(interval_s=0.5, min_change=4.0, hold_s=1.0, start_confidence=0.5, keep_confidence=0.1)
    detector = GatedDetector(Nobody(), gate)
    with live_run(
        tmp_path, {"a": lambda: FakeStream(steady(20))}, detector=detector, live={"max_fps": 20.0}
    ) as run:
        eventually(lambda: run.status().cameras[0].quiet >= 20, 15)
    [camera] = run.status().cameras
    assert camera.quiet == detector.skipped["a"]
    assert 2 <= camera.inferred - camera.quiet < camera.inferred / 2
