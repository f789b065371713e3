"""The page, the metrics, the retention and the privacy commands around `mtmc live` as users start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import yaml

from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.results_csv import COLUMNS
from pipeline.files.run_folder import OutputFolder
from pipeline.live.output.segments import row_line, segments
from tests.helpers.live.examples import make_row
from tests.helpers.live.live_process import STARTED_S, STOPPED_S, clip, live_process
from tests.helpers.live.servers import free_port
from tests.helpers.live.waiting import eventually

TOKEN = "a-token-of-some-length"
PASSWORD = "ge/heim@die:kamera"


def site_of(folder: Path, **live: object) -> Path:
    """Two cameras that are films of a minute, and one that is not there and has a password."""
    cameras = [{"name": name, "source": str(clip(folder, name, 60.0))} for name in ("one", "two")]
    away = {
        "name": "away",
        "source": "rtsp://127.0.0.1:9/x",
        "username": "viewer",
        "password": "${CAMERA_PASSWORD}",
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump({"cameras": [*cameras, away], "live": live}), encoding="utf-8")
    return path


def answers(client: httpx2.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx2.TransportError:
        return False


@contextmanager
def open_browsers(port: int) -> Iterator[None]:
    """Some that ask again and again, one that keeps its connection, and one that never ends its question."""
    stop = threading.Event()

    def ask() -> None:
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
        ) as client:
            while not stop.is_set():
                for path in ("/", "/api/status", "/api/timeline", "/api/preview/one.jpg", "/metrics"):
                    answers(client, path)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        with (
            socket.create_connection(("127.0.0.1", port)) as kept,
            socket.create_connection(("127.0.0.1", port)) as endless,
        ):
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert kept.recv(15) == b"HTTP/1.1 200 OK"
            endless.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
            yield
    finally:
        stop.set()
        for thread in asking:
            thread.join()


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "CAMERA_PASSWORD": PASSWORD, "PAGE_TOKEN": TOKEN}


def test_the_page_of_a_run_shows_it_and_ends_with_it(tmp_path: Path, environment: dict[str, str]) -> None:
    port = free_port()
    web = {"enabled": True, "port": port, "preview": "blurred", "token": "${PAGE_TOKEN}"}
    sinks = [{"type": "json_lines", "path": "rows.jsonl"}]
    site = site_of(tmp_path, web=web, sinks=sinks)
    output = tmp_path / "out"
    arguments = ["--config", str(site), "--output", str(output), "--simulate-live"]
    client = httpx2.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
    )
    with live_process(tmp_path, *arguments, env=environment) as process, client:
        eventually(lambda: answers(client, "/readyz"), STARTED_S)
        eventually(lambda: answers(client, "/api/preview/one.jpg"), STARTED_S)
        eventually(lambda: client.get("/api/timeline").json()["visits"], STARTED_S)
        visits = client.get("/api/timeline").json()["visits"]
        assert {visit["camera_id"] for visit in visits} <= {"one", "two"}

        def state(name: str) -> str:
            cameras = client.get("/api/status").json()["cameras"]
            return next(camera["state"] for camera in cameras if camera["name"] == name)

        eventually(lambda: state("one") == "up", 10)
        status = client.get("/api/status").json()
        assert [sink["name"] for sink in status["sinks"]] == [f"json_lines {tmp_path}/rows.jsonl", "page"]
        metrics = client.get("/metrics").text
        counted = [line for line in metrics.splitlines() if line.startswith("mtmc_camera_frame_age_seconds_count")]
        assert {line.split('"')[1] for line in counted} == {"one", "two"}
        shown = metrics + client.get("/api/status").text + client.get("/").text
        with open_browsers(port):
            process.send(signal.SIGTERM)
            code, took_s = process.wait(30)
    print(f"ended after {took_s:.2f} s with the page open")
    assert code == 0
    assert took_s <= STOPPED_S
    for text in (shown, process.text):
        for secret in (PASSWORD, TOKEN, "ge%2Fheim"):
            assert secret not in text
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    rows = sum(len(path.read_text().splitlines()) - 1 for path in segments(output))
    assert len([line for line in lines if line["kind"] == "row"]) == rows


def test_old_segments_go_while_it_runs_and_a_purge_has_to_wait(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    retention = {"max_age_days": 2.0 / 86_400, "check_interval_s": 0.3}
    site = site_of(tmp_path, retention=retention, segment_s=0.7)
    output = tmp_path / "out"
    arguments = ["--config", str(site), "--output", str(output), "--simulate-live"]
    purge = [sys.executable, "run_pipeline.py", "purge", str(output), "--id", "1"]
    with live_process(tmp_path, *arguments, env=environment) as process:
        # The first one is there for about 3 s, and not looked for: a busy machine could miss it.
        eventually(lambda: segments(output) and not list(output.glob("traj-*-0001.csv*")), STARTED_S)
        refused = subprocess.run(purge, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert "stop it first" in refused.stderr
        process.send(signal.SIGTERM)
        assert process.wait(30)[0] == 0
    assert "was deleted: is older than" in process.text
    # Whatever is left of the run by now can be purged.
    done = subprocess.run(purge, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ids = {line.split(",")[0] for path in segments(output) for line in path.read_text().splitlines()[1:]}
    assert "1" not in ids


def test_above_the_quota_old_segments_go_while_it_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    """Two segments of an earlier run that was ended, 600 kB each, in a folder that may have 1 MB."""
    output = tmp_path / "out"
    OutputFolder(output).close()
    line = row_line(make_row(time_s=time.time()))
    for number in (1, 2):
        path = output / f"traj-20200101T000000Z-aaaa-{number:04}.csv"
        path.write_text(",".join(COLUMNS) + "\n" + line * (600_000 // len(line)))
    site = site_of(tmp_path, retention={"max_bytes": 1_000_000, "check_interval_s": 0.3})
    arguments = ["--config", str(site), "--output", str(output), "--simulate-live"]
    with live_process(tmp_path, *arguments, env=environment) as process:
        eventually(lambda: not list(output.glob("traj-20200101*-0001.csv")), STARTED_S)
        eventually(lambda: list(output.glob("traj-*.part")), STARTED_S)
        process.send(signal.SIGTERM)
        assert process.wait(30)[0] == 0
    assert list(output.glob("traj-20200101*-0002.csv"))
    assert "above their quota of 1000000 bytes" in " ".join(process.text.split())
    assert sum(path.stat().st_size for path in output.iterdir()) <= 1_000_000
