"""Readers and keepers with cameras that do what the test says."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.core.redaction import Redactor
from pipeline.live.cameras import camera_keeper
from pipeline.live.cameras.camera_keeper import CameraKeeper, KeeperSettings
from pipeline.live.cameras.camera_record import CameraRecord
from pipeline.live.cameras.capture_clock import CaptureClock
from pipeline.live.cameras.fleet import CameraFleet, CameraPlan
from pipeline.live.cameras.frame_board import LiveFrame
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.reader import Reader, ReaderSettings, frame_numbers
from pipeline.live.cameras.retry import RetryTimes
from pipeline.live.cameras.stream import LiveStream, Received
from pipeline.live.host_clock import HostClock, LiveClock
from pipeline.live.telling.status import CameraState, TimestampSource
from tests.helpers.live.fakes import FakeClock, FakeStream, picture, steady
from tests.helpers.live.waiting import eventually
from tests.helpers.live.watched_fleet import site

SETTINGS = ReaderSettings(max_fps=10.0, max_age_s=0.5, max_lag_s=3.0)


def read(
    script: Iterator[Received],
    settings: ReaderSettings = SETTINGS,
    clock: LiveClock | None = None,
    paced: bool = False,
) -> tuple[Reader, CameraRecord, list[LiveFrame], FakeStream]:
    """Read a whole script."""
    clock = clock or HostClock()
    record, shown, stream = CameraRecord("a", clock), [], FakeStream(script, paced)
    reader = Reader(
        record,
        lambda: stream,
        settings,
        clock=clock,
        capture_clock=CaptureClock(0.5),
        frame_index=frame_numbers(),
        show=shown.append,
        redact=Redactor(),
    )
    assert reader.join(20)
    return reader, record, shown, stream


def test_the_end_of_a_live_stream_is_a_disconnection() -> None:
    reader, record, _shown, stream = read(steady(fps=50, frames=3))
    assert reader.problem is not None
    assert reader.problem.reason is Reason.ENDED
    assert stream.closed.is_set()
    assert record.status().decoded == 3


def test_the_same_mistake_at_every_attempt_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    record = CameraRecord("a", HostClock())
    texts = iter(["x", "x", "x", "y", "y"])

    def broken() -> LiveStream:
        raise KeyError(next(texts))

    for _ in range(5):
        reader = Reader(
            record,
            broken,
            SETTINGS,
            clock=HostClock(),
            capture_clock=CaptureClock(0.5),
            frame_index=frame_numbers(),
            show=lambda frame: None,
            redact=Redactor(),
        )
        assert reader.join(5)
        assert reader.problem is not None
        record.set_state(CameraState.WAITING, reader.problem.text)  # as the keeper does
    assert caplog.text.count("Traceback") == 2


def test_frames_beyond_the_rate_are_skipped_and_counted() -> None:
    """30 frames a second, every third is looked at."""
    clock = FakeClock()

    def script() -> Iterator[Received]:
        for index in range(90):
            clock.turn(1 / 30)
            yield Received((picture(index / 30),))

    _, record, shown, _ = read(script(), clock=clock)
    assert len(shown) == 30
    assert record.status().dropped == {"rate_limit": 60}
    assert [frame.frame_index for frame in shown] == list(range(0, 90, 3))


def test_a_camera_that_jitters_at_the_allowed_rate_loses_nothing() -> None:
    clock, rng = FakeClock(), random.Random(0)

    def script() -> Iterator[Received]:
        for index in range(100):
            clock.turn(0.1)
            yield Received((picture(index / 10 + rng.uniform(0, 0.02)),))

    _, _record, shown, _ = read(script(), clock=clock)
    assert len(shown) == 100


def test_corrupt_and_late_pictures_are_not_shown() -> None:
    clock = FakeClock()

    def script() -> Iterator[Received]:
        yield Received((), "no_keyframe")
        yield Received((), "corrupt")
        yield Received((picture(0.0, corrupt=True),))
        clock.turn(0.2)
        yield Received((picture(0.2),))
        clock.turn(2.0)
        yield Received((picture(0.4),))  # 1.8 s late

    _, record, shown, _ = read(script(), clock=clock)
    assert [frame.frame_index for frame in shown] == [1]
    assert record.status().dropped == {"no_keyframe": 1, "corrupt": 2, "too_old": 1}


def test_changes_of_a_cameras_clock_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is right, then 20 s ahead, then right again; and it jumps to and fro in between."""
    clock = FakeClock()

    def script() -> Iterator[Received]:
        for index in range(400):
            clock.turn(0.1)
            ahead_s = 20.0 + 2 * (index // 5 % 2) if 100 <= index < 300 else 0.0
            yield Received((picture(index / 10, clock.utc_s() + ahead_s),))

    _, record, _, _ = read(script(), clock=clock)
    told = [entry.getMessage() for entry in caplog.records]
    assert record.status().clock_jumps > 10
    assert sum("jumped" in text for text in told) == 1
    assert [text for text in told if "jumped" not in text] == [
        "camera a: its clock is +20.0 s from this machine's, more than live.max_clock_offset_s; its times are "
        "corrected by that. Let camera and machine use the same time server",
        "camera a: its clock is right again; its times are used unchanged",
    ]


def test_a_stream_that_stays_behind_is_opened_anew() -> None:
    clock = FakeClock()

    def script() -> Iterator[Received]:
        for index in range(200):
            clock.turn(0.1 if index < 20 else 0.2)
            yield Received((picture(index / 10),))

    reader, _, _, _ = read(script(), clock=clock)
    assert reader.problem is not None
    assert reader.problem.reason is Reason.LAGGING


@pytest.mark.parametrize("wall_offset_s", [None, 0.0, -7200.0])
def test_times_that_jump_back_are_counted_and_frames_go_on(wall_offset_s: float | None) -> None:
    clock = FakeClock()

    def script() -> Iterator[Received]:
        for index in range(20):
            clock.turn(0.05)
            shift_s = -3600.0 if index >= 10 else 0.0
            wall_s = None if wall_offset_s is None else clock.utc_s() + wall_offset_s + shift_s
            yield Received((picture(index / 20 + shift_s, wall_s),))

    reader, record, shown, _ = read(script(), ReaderSettings(30, 0.5, 3), clock)
    status = record.status()
    assert status.clock_jumps == 1
    assert len(shown) == 20
    times_s = [frame.time_s for frame in shown]
    assert [b - a for a, b in itertools.pairwise(times_s)] == pytest.approx([0.05] * 19, abs=0.001)
    assert reader.problem is not None
    assert reader.problem.reason is Reason.ENDED


def test_a_file_is_played_at_its_own_speed() -> None:
    clock = HostClock()
    script = iter([Received((picture(5.0 + index / 20),)) for index in range(20)])
    start_s = clock.monotonic_s() + 0.2
    # Frames that a busy machine shows late count, too: this is about when they are shown and what their times are.
    settings = ReaderSettings(30.0, 10.0, 3.0, file_start_s=start_s)
    _, record, shown, _ = read(script, settings, clock, paced=True)
    assert [frame.time_s - clock.utc_s(start_s) for frame in shown] == pytest.approx(
        [index / 20 for index in range(20)], abs=0.002
    )
    assert all(frame.arrived_s >= start_s + index / 20 for index, frame in enumerate(shown))
    assert record.status().timestamps is TimestampSource.FILE


def test_a_file_that_is_decoded_too_slowly_is_played_to_its_end() -> None:
    """Opened again, it would begin even later, and never end."""
    clock = FakeClock()

    def script() -> Iterator[Received]:
        for index in range(100):
            clock.turn(0.2)
            yield Received((picture(index / 10),))

    settings = ReaderSettings(10.0, 0.5, 3.0, file_start_s=clock.monotonic_s())
    reader, record, shown, _ = read(script(), settings, clock, paced=True)
    assert reader.problem is not None
    assert reader.problem.reason is Reason.ENDED
    assert record.status().dropped["too_old"] == 100 - len(shown)


def test_after_stop_nothing_is_shown() -> None:
    """Also of a frame that was being shown: the board would go on to expect frames of that camera."""
    showing, go_on = threading.Event(), threading.Event()
    shown: list[LiveFrame] = []

    def show(frame: LiveFrame) -> None:
        showing.set()
        assert go_on.wait(5)
        shown.append(frame)

    clock = HostClock()
    reader = Reader(
        CameraRecord("a", clock),
        lambda: FakeStream(steady(20)),
        SETTINGS,
        clock=clock,
        capture_clock=CaptureClock(0.5),
        frame_index=frame_numbers(),
        show=show,
        redact=Redactor(),
    )
    assert showing.wait(5)
    stopping = threading.Thread(target=reader.stop)
    stopping.start()
    eventually(reader._stop.is_set, 5)
    stopping.join(0.2)
    assert stopping.is_alive()
    go_on.set()
    stopping.join(5)
    count = len(shown)
    assert reader.join(5)
    assert len(shown) == count == 1


# -- keeping ------------------------------------------------------------------------------------------------------


class Door:
    """Opens what it is told to, one stream after the other; the last again and again."""

    def __init__(self, *answers: Callable[[], LiveStream]) -> None:
        self.answers = list(answers)
        self.opened = 0

    def __call__(self) -> LiveStream:
        self.opened += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer()


def refused() -> LiveStream:
    raise StreamProblem(Reason.REFUSED, "nothing listens there")


def fleet_of(folder: Path, doors: dict[str, Callable[[], LiveStream]], **live: float) -> CameraFleet:
    config = site(folder, dict.fromkeys(doors, "rtsp://127.0.0.1/x"), live)
    fleet = CameraFleet(config.live, HostClock(), Redactor())
    fleet.start([CameraPlan(name, door) for name, door in doors.items()])
    return fleet


def state(fleet: CameraFleet, name: str) -> CameraState:
    return next(camera.state for camera in fleet.status() if camera.name == name)


def test_a_reader_that_hangs_is_left_behind_and_replaced_without_harm_to_others(tmp_path: Path) -> None:
    hang, release = threading.Event(), threading.Event()

    def hanging() -> Iterator[Received]:
        for received in steady(20):
            if hang.is_set():
                release.wait(60)
            yield received

    door = Door(lambda: FakeStream(hanging()), lambda: FakeStream(steady(20)))
    fleet = fleet_of(tmp_path, {"hangs": door, "good": Door(lambda: FakeStream(steady(20)))})
    try:
        eventually(lambda: state(fleet, "hangs") is CameraState.UP, 5)
        hang.set()
        noticed_s = eventually(lambda: state(fleet, "hangs") is not CameraState.UP, 5)
        decoded = fleet.record("hangs").status().decoded
        eventually(lambda: fleet.record("hangs").status().abandoned == 1, 6)
        eventually(lambda: state(fleet, "hangs") is CameraState.UP, 5)
        print(f"a reader that hangs: noticed after {noticed_s:.1f} s")
        eventually(lambda: state(fleet, "good") is CameraState.UP, 5)
        assert fleet.record("good").status().reconnects == {}
        assert fleet.record("hangs").status().reconnects == {"stalled": 1}
        assert fleet.record("hangs").status().decoded > decoded
    finally:
        release.set()
        assert fleet.stop(5)


def test_a_mistake_in_a_reader_is_a_problem_of_its_camera_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken() -> LiveStream:
        raise ZeroDivisionError("rtsp://user:secret@host/x")

    fleet = fleet_of(tmp_path, {"a": Door(mistaken), "b": Door(lambda: FakeStream(steady(20)))})
    try:
        eventually(lambda: fleet.record("a").status().reconnects.get("network", 0) >= 2, 5)
        assert "ZeroDivisionError" in fleet.record("a").status().problem
        assert "secret" not in fleet.record("a").status().problem
        eventually(lambda: state(fleet, "b") is CameraState.UP, 5)
        assert fleet.record("b").status().reconnects == {}
        assert "the reader failed" in caplog.text
    finally:
        assert fleet.stop(5)


def test_only_changed_cameras_are_restarted(tmp_path: Path) -> None:
    doors = {name: Door(lambda: FakeStream(steady(20))) for name in "abc"}
    fleet = fleet_of(tmp_path, dict(doors))
    try:
        eventually(lambda: all(state(fleet, name) is CameraState.UP for name in "abc"), 5)
        plans = [CameraPlan(name, doors[name]) for name in "ab"] + [CameraPlan("d", Door(refused))]
        fleet.set_cameras(plans, restart={"a"})
        eventually(lambda: doors["a"].opened == 2, 5)
        eventually(lambda: state(fleet, "a") is CameraState.UP, 5)
        assert [camera.name for camera in fleet.status()] == ["a", "b", "d"]
        assert doors["b"].opened == doors["c"].opened == 1
        eventually(lambda: state(fleet, "b") is CameraState.UP, 5)
        assert fleet.record("b").status().reconnects == {}
        assert fleet.record("a").status().reconnects == {"reload": 1}
    finally:
        assert fleet.stop(5)


def test_a_low_frame_rate_is_no_silence(tmp_path: Path) -> None:
    """1.7 s between two frames: so few is what this camera gives. Another one would be stalled after 1.2 s."""
    fleet = fleet_of(tmp_path, {"slow": Door(lambda: FakeStream(steady(0.6)))})
    states = set()
    try:
        eventually(lambda: fleet.record("slow").status().decoded >= 4, 15)
        began_s = time.monotonic()
        while time.monotonic() - began_s < 3:
            states.add(state(fleet, "slow"))
            time.sleep(0.02)
        assert fleet.record("slow").status().reconnects == {}
        assert states == {CameraState.UP}
    finally:
        fleet.stop(5)


@pytest.mark.parametrize("gap_s", [0.02, 0.7])
def test_other_data_is_no_video(tmp_path: Path, gap_s: float) -> None:
    """Sound, or metadata that comes rarely."""

    def stalls() -> Iterator[Received]:
        yield from steady(20, frames=10)
        while True:
            time.sleep(gap_s)
            yield Received((), video=False)

    door = Door(lambda: FakeStream(stalls()))
    fleet = fleet_of(tmp_path, {"a": door}, stalled_after_s=1.0)
    try:
        eventually(lambda: "no video" in fleet.record("a").status().problem, 10)
        eventually(lambda: door.opened >= 6, 60)
        status = fleet.record("a").status()
        assert status.reconnects["stalled"] >= 5
        eventually(lambda: sum(thread.name == "read-a" for thread in threading.enumerate()) <= 1, 5)
        assert (status.abandoned == 0) is (gap_s < 0.1)
    finally:
        assert fleet.stop(5)


def test_packets_without_pictures_open_a_camera_again_that_was_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_keeper, "_FIRST_PICTURE_S", 1.0)

    def empty() -> Iterator[Received]:
        yield from steady(20, frames=10)
        while True:
            time.sleep(0.02)
            yield Received(())

    door = Door(lambda: FakeStream(empty()))
    fleet = fleet_of(tmp_path, {"a": door})
    try:
        eventually(lambda: fleet.record("a").status().reconnects.get("codec", 0) >= 3, 30)
        eventually(lambda: sum(thread.name == "read-a" for thread in threading.enumerate()) <= 2, 5)
    finally:
        assert fleet.stop(5)


def test_a_camera_whose_pictures_are_all_damaged_is_not_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(camera_keeper, "_DAMAGED_S", 1.0)
    damaged = threading.Event()

    def script() -> Iterator[Received]:
        for index in itertools.count():
            time.sleep(0.05)
            yield Received((picture(index / 20, corrupt=damaged.is_set()),))

    fleet = fleet_of(tmp_path, {"a": Door(lambda: FakeStream(script()))})
    try:
        eventually(lambda: state(fleet, "a") is CameraState.UP, 5)
        damaged.set()
        eventually(lambda: state(fleet, "a") is CameraState.STALLED, 10)
        assert "all pictures are damaged" in fleet.record("a").status().problem
        eventually(lambda: fleet.record("a").status().used_fps == 0.0, 5)
        damaged.clear()
        eventually(lambda: state(fleet, "a") is CameraState.UP, 5)
        assert fleet.record("a").status().reconnects == {}
    finally:
        assert fleet.stop(5)
    assert [entry.getMessage() for entry in caplog.records][-1] == "camera a: up, pictures arrive"
    assert caplog.records[-1].levelname == "WARNING"  # seen without -v, as the fault before it


def test_a_camera_with_a_frame_every_5_s_stays_up(tmp_path: Path) -> None:
    """Ten times as quick here; the waiting times are those of a camera with two frames per second."""
    config = site(tmp_path, {"a": "rtsp://127.0.0.1/x"}, {"stalled_after_s": 0.4, "open_timeout_s": 0.3})
    clock = HostClock()
    for interval_s, reconnects in ((0.0, True), (0.5, False)):
        fleet = CameraFleet(config.live, clock, Redactor())
        fleet.start([CameraPlan("a", lambda: FakeStream(steady(2.0)), frame_interval_s=interval_s)])
        try:
            eventually(lambda fleet=fleet: fleet.record("a").status().decoded >= 6, 15)
            assert bool(fleet.record("a").status().reconnects) is reconnects
            assert reconnects or state(fleet, "a") is CameraState.UP
        finally:
            fleet.stop(2)


def test_a_camera_with_few_frames_says_which_setting_it_needs() -> None:
    def script() -> Iterator[Received]:
        yield Received((picture(0.0),))
        raise StreamProblem(Reason.TIMEOUT, "no packet in time")

    reader, *_ = read(script())
    assert reader.problem is not None
    assert reader.problem.text == (
        "no packet in time; a camera with fewer than one frame per second needs frame_interval_s"
    )


def test_rates_say_what_arrives_what_is_used_and_what_is_skipped() -> None:
    clock = FakeClock()
    record = CameraRecord("a", clock)
    for index in range(100):  # 20 frames a second, every fourth is looked at
        clock.turn(0.05)
        frame = LiveFrame("a", index, 0.0, TimestampSource.HOST, 0.0, 0.0, clock.now_s, (1, 1), lambda: None)  # type: ignore[arg-type, return-value]
        record.frame(frame, None, jumped=False)
        record.inferred() if index % 4 == 0 else record.dropped("rate_limit")
    status = record.status()
    assert status.fps == pytest.approx(20, rel=0.05)
    assert status.used_fps == pytest.approx(5, rel=0.1)
    assert status.skipped_fps == pytest.approx(15, rel=0.05)
    clock.turn(200)
    assert record.status().used_fps == 0.0


def test_the_rate_of_a_camera_with_a_frame_every_5_s_is_not_0() -> None:
    clock = FakeClock()
    record = CameraRecord("a", clock)
    for _ in range(10):
        clock.turn(5.0)
        record.inferred()
    assert record.status().used_fps == pytest.approx(0.2)


def test_a_keeper_waits_while_too_many_readers_hang() -> None:
    clock, release = FakeClock(), threading.Event()
    record = CameraRecord("a", clock)

    def hang() -> LiveStream:
        release.wait(60)
        raise StreamProblem(Reason.TIMEOUT, "")

    started: list[Reader] = []

    def start() -> Reader:
        reader = Reader(
            record,
            hang,
            SETTINGS,
            clock=clock,
            capture_clock=CaptureClock(0.5),
            frame_index=frame_numbers(),
            show=lambda frame: None,
            redact=Redactor(),
        )
        started.append(reader)
        return reader

    settings = KeeperSettings(RetryTimes(0.25, 2, 60), open_timeout_s=3.0, stalled_after_s=4.0)
    keeper = CameraKeeper(record, settings, start, lambda: None, random.Random(0))
    for _ in range(2000):
        keeper.tick(clock.monotonic_s())
        clock.turn(0.5)
    assert len(started) == 8
    assert record.status().abandoned == 8
    release.set()
    for reader in started:
        assert reader.join(5)
    keeper.tick(clock.monotonic_s())
    assert len(started) == 9
    keeper.stop()
