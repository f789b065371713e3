"""What happens to real RTSP connections over the loopback; each fault of docs/live.md's table that needs a server."""

from __future__ import annotations

import gc
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pipeline.live.cameras.frame_board import LiveFrame
from pipeline.live.telling.status import CameraState, TimestampSource
from tests.helpers.live.relay import Damage, Relay
from tests.helpers.live.rtsp_server import free_port, needs_rtsp_server, rtsp_server
from tests.helpers.live.waiting import HICCUP_S, eventually
from tests.helpers.live.watched_fleet import WatchedFleet, site, watched

pytestmark = [pytest.mark.faults, needs_rtsp_server]

SMALL = "320x240@10"
NOTICED_S = 5.0
BACK_S = 5.0
# To start the first time: GStreamer has to be loaded and its pipeline to be built, on a busy machine.
UP_S = 30.0
PASSWORD = "geheim@/#:x"
ENCODED = "geheim%40%2F%23%3Ax"


def frame_rate(fleet: WatchedFleet, name: str, seconds: float) -> float:
    """Frames a second that came through in so long."""
    before, began_s = fleet.count(name), time.monotonic()
    time.sleep(seconds)
    return (fleet.count(name) - before) / (time.monotonic() - began_s)


def frame_rates(fleet: WatchedFleet, names: Sequence[str], seconds: float) -> dict[str, float]:
    """The same of several, in the same time."""
    before, began_s = {name: fleet.count(name) for name in names}, time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - began_s
    return {name: round((fleet.count(name) - before[name]) / took_s, 2) for name in names}


def one_more_not_found(fleet: WatchedFleet, name: str) -> Callable[[], bool]:
    """Whether another attempt has met a path that is not there."""
    seen = fleet.status(name).reconnects.get("not_found", 0)
    return lambda: fleet.status(name).reconnects.get("not_found", 0) > seen


def test_a_camera_that_is_killed_is_noticed_and_back_in_time(tmp_path: Path) -> None:
    good = rtsp_server(f"cam={SMALL}")
    with good as other, rtsp_server(f"cam={SMALL}") as server:
        with watched(site(tmp_path, {"a": server.url("cam"), "good": other.url("cam")})) as fleet:
            eventually(lambda: fleet.up("a") and fleet.up("good"), UP_S)
            normal = frame_rate(fleet, "good", 3.0)
            server.kill()
            noticed_s = eventually(lambda: not fleet.up("a"), NOTICED_S)
            meanwhile = frame_rate(fleet, "good", 6.0)
            before = fleet.count("a")
            server.start()
            back_s = eventually(lambda: fleet.count("a") > before, BACK_S)
            print(f"killed: noticed after {noticed_s:.1f} s, back after {back_s:.1f} s, other {meanwhile:.1f} fps")
            eventually(lambda: fleet.up("a"), BACK_S)
            status = fleet.status("a")
        assert meanwhile >= 0.9 * normal
        assert status.reconnects["ended"] >= 1
        assert status.reconnects["refused"] >= 2
        assert status.problem == ""


def test_a_camera_that_freezes_for_10_s_is_noticed_and_back_in_time(tmp_path: Path) -> None:
    good = rtsp_server(f"cam={SMALL}")
    with good as other, rtsp_server(f"cam={SMALL}") as server:
        config = site(tmp_path, {"frozen": server.url("cam"), "good": other.url("cam")})
        with watched(config) as fleet:
            eventually(lambda: fleet.up("frozen") and fleet.up("good"), UP_S)
            normal = frame_rate(fleet, "good", 3.0)
            server.freeze()
            frozen_s = time.monotonic()
            noticed_s = eventually(lambda: not fleet.up("frozen"), NOTICED_S)
            meanwhile = frame_rate(fleet, "good", 10.0 - (time.monotonic() - frozen_s))
            before = fleet.count("frozen")
            server.thaw()
            back_s = eventually(lambda: fleet.count("frozen") > before + 3, BACK_S)
            print(f"frozen: noticed after {noticed_s:.1f} s, back after {back_s:.1f} s, other {meanwhile:.1f} fps")
            assert meanwhile >= 0.9 * normal


def test_frames_carry_the_cameras_own_clock_and_are_fresh(tmp_path: Path) -> None:
    with rtsp_server(f"cam={SMALL}") as server:
        for transport in ("tcp", "udp"):
            camera = {"source": server.url("cam"), "transport": transport}
            with watched(site(tmp_path, {"a": camera})) as fleet:
                eventually(lambda: fleet.status("a").timestamps is TimestampSource.RTCP, UP_S)
                status = fleet.status("a")
                assert status.clock_offset_s is not None
                assert abs(status.clock_offset_s) < 0.4
                eventually(lambda: len(fleet.frames["a"]) > 30, UP_S)
                times_s = [frame.time_s for frame in fleet.frames["a"]]
                assert times_s == sorted(set(times_s))
                eventually(lambda: abs(fleet.frames["a"][-1].time_s - fleet.clock.utc_s()) < 1.0, 5.0)


def test_a_wrong_password_is_said_and_tried_rarely_without_harm_to_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with rtsp_server(f"cam={SMALL}", user="viewer", password=PASSWORD) as server:
        cameras = {
            "right": {"source": server.url("cam"), "username": "viewer", "password": PASSWORD},
            "in_url": server.url("cam", f"viewer:{ENCODED}@"),
            "pasted": server.url("cam", f"viewer:{PASSWORD}@"),
        }
        good = tuple(cameras)
        with watched(site(tmp_path, cameras)) as fleet:
            eventually(lambda: all(fleet.up(name) for name in good), UP_S)
            alone = frame_rates(fleet, good, 4.0)
        cameras["wrong"] = {"source": server.url("cam"), "username": "viewer", "password": "falsch-und-lang"}
        with watched(site(tmp_path, cameras)) as fleet:
            eventually(lambda: all(fleet.up(name) for name in good), UP_S)
            eventually(lambda: fleet.status("wrong").state is CameraState.DENIED, UP_S)
            denied = fleet.status("wrong")
            assert "check username and password" in denied.problem
            beside = frame_rates(fleet, good, 5.0)
            later = fleet.status("wrong")
            assert later.state is CameraState.DENIED
            assert later.reconnects["denied"] <= denied.reconnects["denied"] + 3
            eventually(lambda: all(fleet.up(name) for name in good), 5.0)
            print(f"wrong password: the others gave {alone} fps alone, {beside} beside it")
            assert all(beside[name] >= 0.9 * alone[name] for name in good)
            told = caplog.text + repr(fleet.fleet.status())
    for secret in (PASSWORD, ENCODED, "falsch-und-lang", "viewer:"):
        assert secret not in told


def test_a_path_that_is_gone_is_tried_at_most_3_s_apart(tmp_path: Path) -> None:
    """The camera that worked before, and one whose path was never there."""
    good = rtsp_server(f"cam={SMALL}")
    with good as other, rtsp_server(f"cam={SMALL}") as server:
        sources = {"a": server.url("cam"), "never": server.url("never"), "good": other.url("cam")}
        with watched(site(tmp_path, sources)) as fleet:
            eventually(lambda: fleet.up("a") and fleet.up("good"), UP_S)
            normal = frame_rate(fleet, "good", 3.0)
            server.kill()
            mounts, server.mounts = server.mounts, [f"other={SMALL}"]
            server.start()
            eventually(lambda: fleet.status("a").reconnects.get("not_found", 0) >= 1, BACK_S)
            assert "check the path" in fleet.status("a").problem
            before, began_s = fleet.count("good"), time.monotonic()
            gaps = []
            for name in ("a", "a", "a", "never", "never"):
                gaps.append(eventually(one_more_not_found(fleet, name), 3.5 + HICCUP_S))
            meanwhile = (fleet.count("good") - before) / (time.monotonic() - began_s)
            assert sorted(gaps)[-2] <= 3.5, gaps  # 3 s apart, and half a second for a busy machine; once, more
            server.kill()
            server.mounts = mounts
            before = fleet.count("a")
            server.start()
            back_s = eventually(lambda: fleet.count("a") > before, BACK_S)
            print(f"gone: tried after {max(gaps):.1f} s, back after {back_s:.1f} s, other {meanwhile:.1f} fps")
            assert meanwhile >= 0.9 * normal


@contextmanager
def silent_host() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


def test_a_host_that_accepts_and_never_answers_and_one_that_never_comes_up(tmp_path: Path) -> None:
    with rtsp_server(f"cam={SMALL}") as server, silent_host() as port:
        cameras = {"good": server.url("cam")}
        with watched(site(tmp_path, cameras)) as fleet:
            eventually(lambda: fleet.up("good"), UP_S)
            alone = frame_rate(fleet, "good", 4.0)
        cameras |= {"mute": f"rtsp://127.0.0.1:{port}/cam", "absent": f"rtsp://127.0.0.1:{free_port()}/cam"}
        with watched(site(tmp_path, cameras)) as fleet:
            eventually(lambda: fleet.up("good"), UP_S)
            beside = frame_rate(fleet, "good", 8.0)
            mute, absent = fleet.status("mute"), fleet.status("absent")
            assert mute.state in (CameraState.CONNECTING, CameraState.WAITING)
            assert mute.reconnects["timeout"] >= 1
            assert absent.reconnects["refused"] >= 2
            assert fleet.count("mute") == fleet.count("absent") == 0  # and no black frames
            print(f"never up: the good camera gave {alone:.1f} fps alone, {beside:.1f} beside them")
            assert beside >= 0.9 * alone


def test_frames_stay_fresh_while_the_consumer_is_slow(tmp_path: Path) -> None:
    def slow(frames: list[LiveFrame]) -> None:
        time.sleep(0.4)

    with rtsp_server("cam=320x240@15") as server:
        with watched(site(tmp_path, {"a": server.url("cam")}, {"max_fps": 30.0}), slow) as fleet:
            eventually(lambda: fleet.up("a"), UP_S)
            time.sleep(15)
            status = fleet.status("a")
            ages_s = fleet.ages_s["a"][5:]
        print(f"slow consumer: {len(ages_s)} frames, oldest {max(ages_s):.2f} s")
        assert len(ages_s) >= 15
        assert max(ages_s) <= 0.5
        assert status.dropped["overwritten"] >= 50
        assert set(status.reconnects) == set()


def test_a_camera_may_come_back_with_another_resolution(tmp_path: Path) -> None:
    with rtsp_server(f"cam={SMALL}") as server, watched(site(tmp_path, {"a": server.url("cam")})) as fleet:
        eventually(lambda: fleet.up("a"), UP_S)
        assert fleet.status("a").size_wh == (320, 240)
        server.kill()
        server.mounts = ["cam=640x360@10"]
        server.start()
        eventually(lambda: fleet.status("a").size_wh == (640, 360), BACK_S)
        eventually(lambda: fleet.frames["a"][-1].size_wh == (640, 360), BACK_S)
        assert fleet.newest["a"].to_bgr().shape == (360, 640, 3)
        indexes = [frame.frame_index for frame in fleet.frames["a"]]
        assert indexes == sorted(set(indexes))


def test_a_live_stream_that_ends_is_opened_again(tmp_path: Path) -> None:
    """The camera says goodbye (RTCP BYE) after 40 pictures, each time: for a camera that is no end of the run."""
    with (
        rtsp_server(f"cam={SMALL},frames=40") as server,
        watched(site(tmp_path, {"a": server.url("cam")})) as fleet,
    ):
        eventually(lambda: fleet.up("a"), UP_S)
        eventually(lambda: fleet.status("a").reconnects.get("ended", 0) >= 1, UP_S)
        before = fleet.count("a")
        back_s = eventually(lambda: fleet.count("a") > before, BACK_S)
        print(f"live stream ended: frames again after {back_s:.1f} s")
        assert fleet.status("a").state is not CameraState.ENDED
        assert not fleet.fleet.ended


@pytest.mark.parametrize("shift_s", [-3600.0, 3600.0])
def test_frames_go_on_evenly_when_the_times_of_the_stream_jump(tmp_path: Path, shift_s: float) -> None:
    with rtsp_server(f"cam={SMALL}") as server:
        relay = Relay(server.port)
        with watched(site(tmp_path, {"a": f"rtsp://127.0.0.1:{relay.port}/cam"})) as fleet:
            eventually(lambda: fleet.status("a").timestamps is TimestampSource.RTCP, UP_S)
            eventually(lambda: frame_rate(fleet, "a", 1.0) >= 9.0, UP_S)
            first = fleet.count("a")
            relay.stream_shift_s = shift_s
            eventually(lambda: fleet.status("a").clock_jumps >= 1, 5.0)
            eventually(lambda: fleet.count("a") >= first + 100, 20.0)
            status = fleet.status("a")
        relay.close()
    frames = fleet.frames["a"][first - 5 :]
    steps_s = [b.time_s - a.time_s for a, b in itertools.pairwise(frames)]
    # Against the arrival of the frames, so that a pause of this machine is none of the times.
    extra_s = [b.time_s - a.time_s - (b.arrived_s - a.arrived_s) for a, b in itertools.pairwise(frames)]
    print(
        f"times of the stream {shift_s:+.0f} s: {status.clock_jumps} jumps, "
        f"steps of {min(steps_s):.2f} to {max(steps_s):.2f} s"
    )
    assert status.reconnects == {}
    assert min(steps_s) > 0
    assert max(map(abs, extra_s)) < 1.0
    assert abs(frames[-1].time_s - fleet.clock.utc_s(frames[-1].arrived_s)) < 1.0


def test_cameras_with_clocks_2_s_apart_show_one_time(tmp_path: Path) -> None:
    with rtsp_server(f"one={SMALL}", f"two={SMALL}") as server:
        relay = Relay(server.port)
        relay.wall_shift_s = -2.0
        config = site(tmp_path, {"right": server.url("one"), "behind": f"rtsp://127.0.0.1:{relay.port}/two"})
        with watched(config) as fleet:
            names = ("right", "behind")
            eventually(lambda: fleet.status("right").timestamps is TimestampSource.RTCP, UP_S)
            eventually(lambda: fleet.status("behind").timestamps is TimestampSource.RTCP_CORRECTED, UP_S)
            eventually(lambda: all(frame_rate(fleet, name, 0.5) >= 8.0 for name in names), UP_S)
            time.sleep(3)
            offsets_s = {name: fleet.status(name).clock_offset_s for name in names}
            ages_s = {name: [frame.age_s for frame in fleet.frames[name][-20:]] for name in names}
        relay.close()
    print(f"clocks 2 s apart: offsets {offsets_s}")
    assert offsets_s["right"] == pytest.approx(0.0, abs=0.4)
    assert offsets_s["behind"] == pytest.approx(2.0, abs=0.4)
    # A frame's time is that of its arrival here but for the way, whatever its camera's clock says.
    for name in names:
        assert max(ages_s[name]) < 0.5
        for frame in fleet.frames[name][-20:]:
            assert abs(fleet.clock.utc_s(frame.arrived_s) - frame.time_s) < 0.5


def grey_share(frame: LiveFrame) -> float:
    """Of the pixels; the camera shows a white ball on black, so that grey is only at the ball's edge."""
    image = frame.to_bgr()
    return float(((image > 60) & (image < 190)).mean())


def test_pictures_that_never_come_lose_nothing_else(tmp_path: Path) -> None:
    with (
        rtsp_server(f"cam={SMALL}", gaps=True) as server,
        watched(site(tmp_path, {"a": server.url("cam")})) as fleet,
    ):
        eventually(lambda: fleet.count("a") >= 40 and fleet.up("a"), UP_S)
        assert fleet.status("a").reconnects == {}


def test_damaged_and_missing_packets_lose_damaged_frames_only(tmp_path: Path) -> None:
    """A fifth of the packets is damaged or missing, in a stream with a key picture a second."""
    greys: list[float] = []

    def look(frames: list[LiveFrame]) -> None:
        greys.extend(map(grey_share, frames))

    with rtsp_server(f"cam={SMALL}") as server:
        relay = Relay(server.port, seed=1)
        config = site(tmp_path, {"a": f"rtsp://127.0.0.1:{relay.port}/cam"})
        with watched(config, look) as fleet:
            eventually(lambda: fleet.up("a"), UP_S)
            relay.damage = Damage(flipped=0.15, dropped=0.05)
            began_s, before = time.monotonic(), len(greys)
            eventually(lambda: relay.flipped + relay.dropped >= 150, 60.0)
            shown, took_s = len(greys) - before, time.monotonic() - began_s
            relay.damage = None
            after_s = eventually(lambda: frame_rate(fleet, "a", 1.0) >= 9.0, BACK_S)
            eventually(lambda: fleet.up("a"), BACK_S)
            status = fleet.status("a")
        relay.close()
    print(
        f"damage: {relay.flipped} packets spoiled and {relay.dropped} missing in {took_s:.0f} s, {shown} frames shown, "
        f"{status.dropped['corrupt']} left out; all frames again after {after_s:.1f} s"
    )
    assert status.reconnects == {}
    assert status.abandoned == 0
    assert status.dropped["corrupt"] >= 50
    assert shown / took_s >= 2.0
    assert max(greys) < 0.2


def test_a_picture_that_never_changes_is_told(tmp_path: Path) -> None:
    """Encoded anew each time, as by a camera that hangs behind its sensor."""
    names = ("moves", "hangs")
    with (
        rtsp_server(f"moves={SMALL}", f"hangs={SMALL},still") as server,
        watched(site(tmp_path, {name: server.url(name) for name in names})) as fleet,
    ):
        eventually(lambda: all(map(fleet.up, names)), UP_S)
        eventually(lambda: (fleet.status("hangs").still_s or 0.0) >= 8.0, 15.0)
        eventually(lambda: (still_s := fleet.status("moves").still_s) is not None and still_s <= 2.0, 2.0)
        eventually(lambda: fleet.up("hangs"), 2.0)  # an empty room looks the same
        assert fleet.status("hangs").reconnects == {}


def test_200_reconnects_take_no_memory(tmp_path: Path) -> None:
    process = psutil.Process()
    live = {"retry_min_s": 0.05, "retry_max_s": 0.05}
    with rtsp_server(f"cam={SMALL}") as server:
        relay = Relay(server.port)
        config = site(tmp_path, {"a": f"rtsp://127.0.0.1:{relay.port}/cam"}, live)
        with watched(config) as fleet:
            eventually(lambda: fleet.up("a"), UP_S)

            def reconnects() -> int:
                return sum(fleet.status("a").reconnects.values())

            def reconnect(times: int) -> None:
                for _ in range(times):
                    made = reconnects()
                    relay.cut()
                    eventually(lambda made=made: reconnects() > made, 20.0)
                    before = fleet.count("a")
                    eventually(lambda before=before: fleet.count("a") > before, 20.0)
                fleet.frames["a"].clear()
                fleet.ages_s["a"].clear()
                gc.collect()

            reconnect(20)  # what is kept once is kept by now
            files, threads, memory = process.num_fds(), threading.active_count(), process.memory_info().rss
            reconnect(200)
            grown = process.memory_info().rss - memory
            print(f"200 reconnects: {grown / 1e6:+.1f} MB")
            assert fleet.status("a").reconnects["ended"] >= 200
            assert grown <= 20e6
            assert process.num_fds() <= files + 6
            assert threading.active_count() <= threads + 6
        relay.close()
