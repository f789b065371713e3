"""`mtmc live` as users start it, with made-up models: signals, kills, restarts, and secrets."""

from __future__ import annotations

import csv
import itertools
import json
import os
import resource
import signal
import socket
import ssl
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from pipeline.config.config import load_config
from pipeline.core.datatypes import LinkedRow
from pipeline.core.errors import InputError
from pipeline.files.results_csv import read_trajectories
from pipeline.live.output.segments import segments
from tests.helpers.live.fake_live import FRAMES_FILE
from tests.helpers.live.live_process import STARTED_S, STOPPED_S, clip, live_process
from tests.helpers.live.rtsp_server import free_port, needs_rtsp_server, rtsp_server
from tests.helpers.live.servers import make_certificate
from tests.helpers.live.waiting import HICCUP_S, eventually

FPS = 10.0  # of all cameras here


def rows_in(output: Path) -> list[LinkedRow]:
    """All rows of all runs so far, while a run goes on."""
    while True:
        found = segments(output) if output.exists() else []
        try:
            return [linked for path in found for linked in read_trajectories(path)]
        except InputError:
            if segments(output) == found:  # else one was ended meanwhile, which changes its name
                raise


def write_site(folder: Path, cameras: list[dict[str, object]], **live: object) -> Path:
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump({"cameras": cameras, "live": live}), encoding="utf-8")
    return path


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    """A site of two cameras that are played for a minute."""
    cameras: list[dict[str, object]] = [
        {"name": name, "source": str(clip(tmp_path, name, 60.0))} for name in ("one", "two")
    ]
    return write_site(tmp_path, cameras)


def arguments(site: Path, output: Path) -> list[str]:
    return ["--config", str(site), "--output", str(output), "--simulate-live"]


def manifest_of(output: Path) -> dict[str, object]:
    [path] = output.glob("manifest-*.json")
    content: dict[str, object] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_2_s_and_nothing_is_lost(
    tmp_path: Path, two_files: Path, number: signal.Signals
) -> None:
    output = tmp_path / "out"
    with live_process(tmp_path, *arguments(two_files, output)) as process:
        eventually(lambda: len(rows_in(output)) > 30, STARTED_S)
        process.send(number)
        code, took_s = process.wait(30)
    print(f"signal {number.name}: ended after {took_s:.2f} s")
    assert code == 0
    assert took_s <= STOPPED_S
    manifest = manifest_of(output)
    cameras = manifest["cameras"]
    assert isinstance(cameras, dict)
    inferred = sum(camera["inferred"] for camera in cameras.values())
    assert (manifest["state"], manifest["rows_lost"]) == ("complete", 0)
    assert len(rows_in(output)) == manifest["rows_written"] == inferred
    assert not list(output.glob("*.part"))


def test_the_end_of_all_files_is_the_end_of_the_run(tmp_path: Path) -> None:
    """A file is no camera: its end is not a fault that is tried again."""
    cameras: list[dict[str, object]] = [
        {"name": name, "source": str(clip(tmp_path, name, seconds))}
        for name, seconds in (("one", 4.0), ("two", 5.0))  # a busy machine may miss the first two
    ]
    output = tmp_path / "out"
    with live_process(tmp_path, *arguments(write_site(tmp_path, cameras), output)) as process:
        code, _ = process.wait(STARTED_S)
    assert code == 0, process.text
    manifest = manifest_of(output)
    states = manifest["cameras"]
    assert isinstance(states, dict)
    assert {camera["state"] for camera in states.values()} == {"ended"}
    assert {camera["timestamps"] for camera in states.values()} == {"file"}
    assert sum(len(camera["reconnects"]) for camera in states.values()) == 0
    assert {linked.row.camera_id for linked in rows_in(output)} == {"one", "two"}


def test_a_second_signal_ends_it_at_once(tmp_path: Path, two_files: Path) -> None:
    output = tmp_path / "out"
    with live_process(tmp_path, *arguments(two_files, output)) as process:
        eventually(lambda: len(rows_in(output)) > 5, STARTED_S)
        process.send(signal.SIGTERM)
        process.send(signal.SIGTERM)
        code, took_s = process.wait(30)
    # The first may have been enough, if it was quicker than the second.
    assert code in (0, 128 + signal.SIGTERM)
    assert took_s <= STOPPED_S


def frames_in(path: Path) -> set[tuple[str, int]]:
    """Cameras and numbers of the frames that a run has looked at."""
    return {(camera, int(number)) for camera, number in map(str.split, path.read_text().splitlines())}


@pytest.mark.faults
def test_a_kill_loses_at_most_a_second_of_rows_and_leaves_files_that_can_be_read(
    tmp_path: Path, two_files: Path
) -> None:
    """Counted in frames that were looked at and have no row: a machine that stops for a while loses none."""
    output = tmp_path / "out"
    lost: list[int] = []
    used: set[int] = set()
    final: list[set[int]] = []
    for number in range(3):
        env = {**os.environ, FRAMES_FILE: str(tmp_path / f"frames{number}.txt")}
        with live_process(tmp_path, *arguments(two_files, output), log=f"log{number}.txt", env=env) as process:
            before = len(rows_in(output))
            eventually(lambda before=before: len(rows_in(output)) > before + 40, STARTED_S)
            process.send(signal.SIGKILL)
            process.wait(10)
        rows = rows_in(output)
        seen = frames_in(tmp_path / f"frames{number}.txt")
        missing = seen - {(linked.row.camera_id, linked.row.frame_index) for linked in rows[before:]}
        lost += Counter(camera for camera, _ in missing).values()
        assert len(rows) - before == len(seen) - len(missing) > 40
        provisional = {linked.link.global_id for linked in rows[before:] if not linked.link.final}
        assert not provisional & used  # ids that were given before the kill are not given again
        used |= {linked.link.global_id for linked in rows}
        final.append({linked.link.global_id for linked in rows[before:] if linked.link.final})
    lost_s = max(lost, default=0) / FPS
    print(f"kill: the rows of {lost_s:.2f} s are missing")
    # A second, and the rows that waited in memory for their ids.
    assert lost_s <= 1.0 + load_config().live.hold_s
    # The next start has said of every id that was provisional at the kill what became of it.
    last_s = max(linked.row.time_s for linked in rows_in(output))
    with live_process(tmp_path, *arguments(two_files, output), log="last.txt") as process:
        eventually(lambda: rows_in(output)[-1].row.time_s > last_s, STARTED_S)
        process.send(signal.SIGTERM)
        assert process.wait(30)[0] == 0
    killed = [linked for linked in rows_in(output) if linked.row.time_s <= last_s]
    open_ids = {linked.link.global_id for linked in killed if not linked.link.final}
    open_ids -= {linked.link.global_id for linked in killed if linked.link.final}
    with (output / "remap.csv").open() as file:
        told = {int(line["provisional_id"]) for line in csv.DictReader(file)}
    assert open_ids <= told
    # One person, one id that counts in each run; none of them lasted until people are written down.
    assert max(map(len, final)) == 1


def test_the_password_is_nowhere(tmp_path: Path) -> None:
    """Not in logs, tracebacks, manifest, rows or gallery; with a camera that answers with errors all the time."""
    secrets = {"FILE": "aus/der@datei", "ENV": "aus#der:umgebung", "QUERY": "aus-der=abfrage"}
    (tmp_path / "password").write_text(secrets["FILE"] + "\n")
    cameras: list[dict[str, object]] = [
        {"name": "film", "source": str(clip(tmp_path, "film", 60.0))},
        {"name": "in_url", "source": "rtsp://viewer:${ENV}@127.0.0.1:9/x"},
        {"name": "in_file", "source": "rtsp://127.0.0.1:9/y", "username": "viewer", "password_file": "password"},
        {"name": "web", "source": "http://127.0.0.1:9/z", "username": "viewer", "password": "${ENV}"},
        {"name": "in_query", "source": "rtsp://127.0.0.1:9/user=viewer&password=${QUERY}&x=1"},
    ]
    site = write_site(tmp_path, cameras)
    output = tmp_path / "out"
    env = {**os.environ, "ENV": secrets["ENV"], "QUERY": secrets["QUERY"]}
    with live_process(tmp_path, "--json", str(tmp_path / "x"), *arguments(site, output), env=env) as process:
        eventually(lambda: len(rows_in(output)) > 20, STARTED_S)
        process.send(signal.SIGTERM)
        process.wait(30)
    written = process.text.encode() + b"".join(path.read_bytes() for path in output.iterdir())
    assert b"nothing listens there" in written
    for secret in (*secrets.values(), "aus%2Fder", "aus%23der"):
        assert secret.encode() not in written


def test_files_are_played_only_when_that_is_meant(tmp_path: Path, two_files: Path) -> None:
    """What cannot be watched is said before models load and folders are made."""
    output = tmp_path / "out"
    with live_process(tmp_path, "--config", str(two_files), "--output", str(output)) as process:
        code, _ = process.wait(STARTED_S)
    assert code == 2
    assert "--simulate-live" in " ".join(process.text.split())
    assert not output.exists()


def pace(rows: Sequence[LinkedRow]) -> tuple[float, float]:
    """Rows a second of one camera but for their longest pause, which may be one of the machine; and that pause in s."""
    *steps_s, longest_s = sorted(b.row.time_s - a.row.time_s for a, b in itertools.pairwise(rows))
    return len(steps_s) / sum(steps_s), longest_s


@pytest.mark.faults
@needs_rtsp_server
def test_a_reload_under_load_restarts_changed_cameras_only(tmp_path: Path) -> None:
    with rtsp_server("one=320x240@10", "two=320x240@10", "three=320x240@10") as server:

        def cameras(*names: str) -> list[dict[str, object]]:
            return [{"name": name, "source": server.url(name)} for name in names]

        site = write_site(tmp_path, cameras("one", "two"))
        output = tmp_path / "out"

        def seen(name: str) -> list[LinkedRow]:
            return [linked for linked in rows_in(output) if linked.row.camera_id == name]

        with live_process(tmp_path, "--config", str(site), "--output", str(output)) as process:
            eventually(lambda: len(seen("one")) > 40 and len(seen("two")) > 20, STARTED_S)
            site.write_text("cameras: [{name: one, sourc: oops}]")
            process.send(signal.SIGHUP)
            eventually(lambda: "was not applied" in " ".join(process.text.split()), 10)
            before = seen("one")
            for number in range(10):  # again and again while frames come
                write_site(tmp_path, cameras("one", "three") if number % 2 == 0 else cameras("one", "two"))
                process.send(signal.SIGHUP)
                time.sleep(0.5)
            write_site(tmp_path, cameras("one", "three"))
            process.send(signal.SIGHUP)
            eventually(lambda: len(seen("three")) > 20, 20)
            last_s = seen("three")[-1].row.time_s
            eventually(lambda: seen("one")[-1].row.time_s >= last_s, 5)
            meanwhile = seen("one")[len(before) - 1 :]
            process.send(signal.SIGTERM)
            code, _ = process.wait(30)
        assert code == 0
        normal, _ = pace(before)
        rate, longest_s = pace(meanwhile)
        print(
            f"reload: the camera that did not change gave {rate:.1f} rows a second meanwhile, {normal:.1f} before"
        )
        assert rate >= 0.9 * normal
        assert longest_s <= 0.5 + HICCUP_S
        states = manifest_of(output)["cameras"]
        assert isinstance(states, dict)
        assert states["one"]["reconnects"] == {}
        assert "reload" not in states["one"]["dropped"]
        assert set(states) == {"one", "three"}


@pytest.mark.faults
@pytest.mark.parametrize(("descriptors", "connections"), [(256, 300), (1024, 1500)])
def test_idle_connections_to_the_page_take_nothing_from_the_run(
    tmp_path: Path, two_files: Path, descriptors: int, connections: int
) -> None:
    """Silent clients without a token, more than the process may have descriptors."""
    port = free_port()
    content = yaml.safe_load(two_files.read_text())
    content["live"]["web"] = {"enabled": True, "port": port, "token": "0123456789abcdef-token"}
    two_files.write_text(yaml.safe_dump(content))
    output = tmp_path / "out"
    held: list[socket.socket] = []
    with live_process(tmp_path, *arguments(two_files, output)) as process:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        eventually(lambda: len(rows_in(output)) > 30, STARTED_S)
        try:
            for _ in range(connections):
                held.append(socket.create_connection(("127.0.0.1", port), 10))
            first_s = time.monotonic()
            before = len(rows_in(output))
            time.sleep(10.0)
            rate = (len(rows_in(output)) - before) / (time.monotonic() - first_s)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as answer:
                assert answer.status == 200
        finally:
            for one in held:
                one.close()
        process.send(signal.SIGTERM)
        code, _ = process.wait(30)
    print(f"{connections} idle connections, {descriptors} descriptors: {rate:.1f} of {2 * FPS:.0f} rows a second")
    assert code == 0
    assert rate >= 0.95 * 2 * FPS
    assert manifest_of(output)["rows_lost"] == 0
    assert process.text.count("\n") < 50


TOKEN = "0123456789abcdef-token"


def begin_handshake(port: int) -> socket.socket:
    """A client of TLS that falls silent in the middle of its first message."""
    client = socket.create_connection(("127.0.0.1", port), 10)
    client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50))
    return client


def no_tls(port: int) -> socket.socket:
    """A client that does not know that the page needs TLS."""
    client = socket.create_connection(("127.0.0.1", port), 10)
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


def ask_for_pictures(port: int) -> socket.socket:
    """A browser with the token that asks for pictures again and again, and reads no answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    client.settimeout(0.001)
    request = f"GET /api/preview/one.jpg HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    with suppress(OSError):
        client.sendall(request.encode() * 20)
    return client


@pytest.mark.faults
@pytest.mark.parametrize("client", [begin_handshake, no_tls, ask_for_pictures])
def test_slow_clients_of_the_page_take_nothing_from_the_run(
    tmp_path: Path, two_files: Path, client: Callable[[int], socket.socket]
) -> None:
    """Hundreds of them in ten seconds: rows come as before, and neither threads nor memory grow."""
    port = free_port()
    tls = client is not ask_for_pictures
    web: dict[str, object] = {"enabled": True, "port": port, "token": TOKEN, "preview": "clear"}
    if tls:
        web["tls_certificate"], web["tls_key"] = make_certificate(tmp_path, "page")
    content = yaml.safe_load(two_files.read_text())
    content["live"]["web"] = web
    two_files.write_text(yaml.safe_dump(content))
    output = tmp_path / "out"
    held: list[socket.socket] = []
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with live_process(tmp_path, *arguments(two_files, output)) as process:
        watched = psutil.Process(process.pid)
        eventually(lambda: len(rows_in(output)) > 30, STARTED_S)
        threads, descriptors = watched.num_threads(), watched.num_fds()
        memory = watched.memory_info().rss
        most_threads = most_descriptors = 0
        try:
            began_s, before = time.monotonic(), len(rows_in(output))
            while time.monotonic() - began_s < 10.0:
                with suppress(OSError):  # refused for a moment
                    held.append(client(port))
                if len(held) % 50 == 0:
                    most_threads = max(most_threads, watched.num_threads())
                    most_descriptors = max(most_descriptors, watched.num_fds())
                time.sleep(0.01)
            rate = (len(rows_in(output)) - before) / (time.monotonic() - began_s)
            grown = watched.memory_info().rss - memory
            address = f"{'https' if tls else 'http'}://127.0.0.1:{port}/livez"
            with urllib.request.urlopen(address, timeout=5, context=trusting if tls else None) as answer:
                assert answer.status == 200
        finally:
            for one in held:
                one.close()
        process.send(signal.SIGTERM)
        code, _ = process.wait(30)
    print(
        f"{len(held)} x {client.__name__}: {rate:.1f} of {2 * FPS:.0f} rows a second, threads {threads} to "
        f"{most_threads}, descriptors {descriptors} to {most_descriptors}, {grown / 1e6:.0f} MB more"
    )
    assert len(held) > 150
    assert code == 0
    assert rate >= 0.95 * 2 * FPS
    assert manifest_of(output)["rows_lost"] == 0
    assert most_threads <= threads + 5
    assert grown < 100e6
    assert most_descriptors <= descriptors + 110
    assert process.text.count("\n") < 50
