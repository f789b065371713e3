"""The page's routes, and who may see them."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.live.telling.status import CameraState
from pipeline.live.web import auth, local_user
from pipeline.live.web.app import build_app
from pipeline.live.web.auth import COOKIE, SESSION_S, TokenGate
from pipeline.live.web.preview import PreviewStore
from pipeline.live.web.server import WebServer
from pipeline.live.web.timeline import Timeline
from tests.helpers.live.examples import (
    NOW_S,
    FixedStatus,
    make_camera,
    make_counts,
    make_row,
    make_status,
    watching,
)
from tests.helpers.live.servers import make_certificate, wait_until

TOKEN = "0123456789abcdef-token"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def app(
    token: str | None = None,
    *,
    source: FixedStatus | None = None,
    preview: PreviewStore | None = None,
    clock: Clock | None = None,
    hosts: tuple[str, ...] = ("testserver",),
) -> Starlette:
    source = source or FixedStatus(make_status(make_camera("entrance"), make_camera("hall")))
    timeline = Timeline(600, 100)
    timeline.write([make_row(1, "entrance", 1, NOW_S, world_xy_m=(1.0, 2.0)), make_row(1, "hall", 3, NOW_S + 4)])
    return build_app(
        source=source,
        metrics=watching(source),
        timeline=timeline,
        preview=preview,
        gate=TokenGate(token, clock or Clock()),
        allowed_hosts=hosts,
        timeline_s=600,
        now_s=lambda: NOW_S + 5,
    )


def web_settings(**changes: Any) -> Any:
    return load_config(None, {"live": {"web": {"enabled": True, "port": 0, **changes}}}).live.web


# -- what is there ---------------------------------------------------------------------------------------------


def test_the_status_is_given_as_json() -> None:
    with TestClient(app()) as client:
        content = client.get("/api/status").json()
    assert [camera["name"] for camera in content["cameras"]] == ["entrance", "hall"]
    assert content["cameras"][0]["state"] == "up"
    assert content["row_latency_s"] == {"0.5": 0.4, "0.99": 0.7}
    assert content["ready"] is True
    assert (content["preview"], content["login"], content["counted"]) == (False, False, "people")


def test_the_timeline_and_one_persons_path() -> None:
    with TestClient(app()) as client:
        timeline = client.get("/api/timeline").json()
        path = client.get("/api/identities/1").json()
        assert client.get("/api/identities/2").status_code == 404
    assert (timeline["now_s"], timeline["window_s"]) == (NOW_S + 5, 600)
    assert [(visit["global_id"], visit["camera_id"]) for visit in timeline["visits"]] == [
        (1, "entrance"),
        (1, "hall"),
    ]
    assert path["visits"][0]["places"] == [[NOW_S, 1.0, 2.0]]
    assert {visit["class_name"] for visit in path["visits"]} == {"person"}


def test_pictures_are_off_unless_asked_for() -> None:
    with TestClient(app()) as client:
        answer = client.get("/api/preview/entrance.jpg")
    assert (answer.status_code, answer.json()) == (404, {"error": "live.web.preview is off"})
    assert load_config().live.web.preview == "off"


def test_a_picture_is_a_jpeg_of_its_camera_alone() -> None:
    store = PreviewStore(blurred=True, width_px=64)
    store.show("entrance", np.zeros((36, 64, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    with TestClient(app(preview=store)) as client:
        answer = client.get("/api/preview/entrance.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content[:2] == b"\xff\xd8"
        assert client.get("/api/preview/hall.jpg").status_code == 404


def test_the_status_of_a_run_with_zones_and_lines_is_given_as_json() -> None:
    source = FixedStatus(make_status(make_camera("entrance"), counts=make_counts()))
    with TestClient(app(source=source)) as client:
        counts = client.get("/api/status").json()["counts"]
    assert counts["inside"] == {"shop": 2}
    assert counts["dwells"]["shop"]["total_s"] == 307.5
    assert counts["crossed"] == [
        {"line": "door", "direction": "in", "number": 4},
        {"line": "door", "direction": "out", "number": 3},
    ]


def test_a_picture_does_not_cost_the_whole_status(monkeypatch: pytest.MonkeyPatch) -> None:
    store = PreviewStore(blurred=True, width_px=64)
    store.show("entrance", np.zeros((36, 64, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    source = FixedStatus(make_status(make_camera()))
    with TestClient(app(source=source, preview=store)) as client:
        monkeypatch.setattr(source, "status", lambda: pytest.fail("quantiles were computed for a picture"))
        assert client.get("/api/preview/entrance.jpg").status_code == 200


def test_a_camera_that_is_down_or_gone_shows_no_old_picture() -> None:
    store = PreviewStore(blurred=True, width_px=64)
    store.show("entrance", np.zeros((36, 64, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    source = FixedStatus(make_status(make_camera(state=CameraState.WAITING)))
    with TestClient(app(source=source, preview=store)) as client:
        assert client.get("/api/preview/entrance.jpg").status_code == 404
        source.now = make_status(make_camera())
        assert client.get("/api/preview/entrance.jpg").status_code == 404


def test_readiness_is_a_camera_that_is_up_and_a_disk_that_takes_rows() -> None:
    source = FixedStatus(make_status(make_camera(state=CameraState.WAITING)))
    with TestClient(app(source=source)) as client:
        assert client.get("/healthz").text == "ok\n"
        answer = client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "not ready: no camera is up\n")
        source.now = make_status(make_camera(), writer_ok=False)
        assert client.get("/readyz").text == "not ready: the disk accepts no rows\n"
        source.now = make_status(make_camera(), stuck="the detector has not returned for 12 s", alive=False)
        answer = client.get("/readyz")
        assert answer.text == "not ready: the detector has not returned for 12 s\n"
        answer = client.get("/livez")
        assert (answer.status_code, answer.text) == (503, "not alive: the detector has not returned for 12 s\n")
        source.now = make_status(make_camera())
        assert client.get("/readyz").status_code == 200
        assert client.get("/livez").status_code == 200


def test_metrics_have_their_type() -> None:
    with TestClient(app()) as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "mtmc_camera_fps{" in answer.text


def test_the_page_asks_nobody_else_for_anything() -> None:
    """Every file is one of ours, and the policy that says so goes with each answer."""
    with TestClient(app()) as client:
        answers = [
            client.get(path)
            for path in ("/", *(f"/static/{name}" for name in ("style.css", "app.js", "colours.js", "floor.js")))
        ]
    for answer in answers:
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in answer.text


def test_another_sites_name_that_leads_here_is_refused() -> None:
    with TestClient(app(), base_url="http://evil.example") as client:
        assert client.get("/api/status").status_code == 400


# -- who may see it --------------------------------------------------------------------------------------------

GUARDED = (
    "/",
    "/api/status",
    "/api/timeline",
    "/api/identities/1",
    "/api/preview/hall.jpg",
    "/metrics",
    "/static/app.js",
)


@pytest.mark.parametrize("path", GUARDED)
def test_nothing_about_people_or_cameras_without_the_token(path: str) -> None:
    with TestClient(app(TOKEN), follow_redirects=False) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get(path, headers={"cookie": f"{COOKIE}=guessed"}).status_code == 401
        right = client.get(path, headers={"authorization": f"Bearer {TOKEN}"})
    assert right.status_code == (404 if "preview" in path else 200)


def test_health_needs_no_token_and_tells_nothing() -> None:
    with TestClient(app(TOKEN)) as client:
        assert (client.get("/healthz").text, client.get("/readyz").text) == ("ok\n", "ok\n")


def test_a_browser_logs_in_with_a_form_and_out_again() -> None:
    with TestClient(app(TOKEN), follow_redirects=False) as client:
        to_form = client.get("/", headers={"accept": "text/html"})
        assert (to_form.status_code, to_form.headers["location"]) == (303, "/login")
        assert client.get("/login").status_code == 200
        refused = client.post("/login", data={"token": "wrong"})
        assert refused.status_code == 401
        assert "Wrong token" in refused.text
        assert COOKIE not in client.cookies
        entered = client.post("/login", data={"token": TOKEN})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/api/status").json()["login"] is True
        session = client.cookies[COOKIE]
        client.post("/logout")
        client.cookies.clear()
        assert client.get("/api/status", headers={"cookie": f"{COOKIE}={session}"}).status_code == 401


def test_a_session_ends_after_half_a_day() -> None:
    clock = Clock()
    with TestClient(app(TOKEN, clock=clock)) as client:
        client.post("/login", data={"token": TOKEN})
        clock.now = SESSION_S - 1
        assert client.get("/api/status").status_code == 200
        clock.now = SESSION_S + 1
        assert client.get("/api/status").status_code == 401


def test_guessing_is_slowed_down_and_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_GUESS_S", 0.3)
    clock = Clock()
    with TestClient(app(TOKEN, clock=clock)) as client:
        for _ in range(10):
            assert client.post("/login", data={"token": "guess"}).status_code == 401
        for number in range(2):
            began_s = time.monotonic()
            wrong = {"authorization": "Bearer guess"}
            assert client.get("/metrics", headers=wrong).status_code == 429
            assert client.post("/login", data={"token": f"guess{number}"}).status_code == 429
            assert time.monotonic() - began_s >= 0.6
        # Somebody else's guesses, behind the same proxy or on the same machine.
        assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.post("/login", data={"token": TOKEN}, follow_redirects=False).status_code == 303
        client.cookies.clear()
        clock.now = 61
        assert client.get("/metrics", headers=wrong).status_code == 401


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_a_client_that_claims_other_addresses_is_slowed_down_too(
    monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.setattr(auth, "_GUESS_S", 0.01)
    server = WebServer(web_settings(token=TOKEN), TOKEN)
    server.start(FixedStatus(make_status(make_camera())), lambda: NOW_S)
    try:
        with httpx2.Client(base_url=server.url, trust_env=False) as client:
            wait_until(lambda: client.get("/healthz").status_code == 200, 10, "the page answers")
            codes = [
                client.get(
                    "/metrics", headers={"authorization": "Bearer guess", header: f"10.0.0.{number}"}
                ).status_code
                for number in range(12)
            ]
        assert codes == [401] * 10 + [429] * 2
    finally:
        server.close(10)


@pytest.mark.parametrize(("local_users", "code"), [("own", 403), ("all", 200)])
def test_a_page_without_a_token_is_for_its_own_user(
    monkeypatch: pytest.MonkeyPatch, local_users: str, code: int
) -> None:
    if not local_user.can_tell_users():
        pytest.skip("this system does not tell the users of connections")
    server = WebServer(web_settings(local_users=local_users), None)
    server.start(FixedStatus(make_status(make_camera())), lambda: NOW_S)
    try:
        with httpx2.Client(base_url=server.url, trust_env=False) as client:
            wait_until(lambda: client.get("/healthz").status_code == 200, 10, "the page answers")
            assert client.get("/api/status").status_code == 200
            own = os.getuid()
            monkeypatch.setattr(local_user, "_ROOT", 99_999)
            monkeypatch.setattr(os, "getuid", lambda: own + 1)  # as if somebody else had started the page
            assert client.get("/api/status").status_code == code
            assert client.get("/").status_code == code
            assert client.get("/healthz").status_code == 200
    finally:
        server.close(10)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_user_of_a_connection_is_told(address: str) -> None:
    if not local_user.can_tell_users():
        pytest.skip("this system does not tell the users of connections")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError as error:
        pytest.skip(f"no {address}: {error}")
    with listener, socket.create_connection(listener.getsockname()[:2]) as client:
        port = listener.getsockname()[1]
        assert local_user.user_of(client.getsockname()[:2], port) == os.getuid()
        assert local_user.user_of((address, 1), port) is None


@pytest.mark.parametrize("kind", ["pipe", "encrypted"])
def test_a_key_that_nobody_gives_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    certificate, key = make_certificate(tmp_path, "page")
    if kind == "pipe":
        Path(key).unlink()
        os.mkfifo(key)
    else:
        encrypted = ["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", key, "-out", f"{key}.2"]
        subprocess.run(encrypted, check=True, capture_output=True)
        key = f"{key}.2"
    web = {"enabled": True, "port": 0, "tls_certificate": certificate, "tls_key": key}
    server = WebServer(load_config(None, {"live": {"web": web}}).live.web, None)
    began_s = time.monotonic()
    with pytest.raises(InputError, match="is a named pipe" if kind == "pipe" else "the key is encrypted"):
        server.start(FixedStatus(make_status(make_camera())), lambda: NOW_S)
    assert time.monotonic() - began_s < 5
    server.close()


def test_a_reload_reads_certificate_and_token_again_or_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = make_certificate(tmp_path, "before")
    file = tmp_path / "token"
    file.write_text(TOKEN)
    web = {"enabled": True, "port": 0, "token_file": str(file), "tls_certificate": certificate, "tls_key": key}
    config = load_config(None, {"live": {"web": web}})
    server = WebServer(config.live.web, TOKEN)
    server.start(FixedStatus(make_status(make_camera())), lambda: NOW_S)
    port = int(server.url.rsplit(":", 1)[1].strip("/"))

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    def status_code(token: str) -> int:
        with httpx2.Client(base_url=server.url, trust_env=False, verify=False) as client:
            return int(client.get("/metrics", headers={"authorization": f"Bearer {token}"}).status_code)

    try:
        wait_until(lambda: status_code(TOKEN) == 200, 10, "the page answers")
        before = shown()
        file.write_text("another-token-0123456789")
        make_certificate(tmp_path, "after")
        assert (shown(), status_code(TOKEN)) == (before, 200)
        server.prepare_reload(config)()
        assert shown() != before
        assert (status_code(TOKEN), status_code("another-token-0123456789")) == (401, 200)
        now = shown()
        Path(key).write_text("nothing")
        file.write_text("a-third-token-0123456789")
        with pytest.raises(InputError, match="cannot be used for TLS"):
            server.prepare_reload(config)
        assert (shown(), status_code("another-token-0123456789")) == (now, 200)
        make_certificate(tmp_path, "third")
        use = server.prepare_reload(config)
        Path(key).write_text("nothing")
        use()
        assert "until the next reload" in caplog.text
    finally:
        server.close(10)


def test_a_form_that_never_ends_is_not_read_into_memory() -> None:
    with TestClient(app(TOKEN)) as client:
        assert client.post("/login", content=b"token=" + b"x" * 1_000_000).status_code == 401


# -- the server ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "camera-server.example"])
def test_an_address_that_others_can_reach_needs_a_token(host: str) -> None:
    with pytest.raises(InputError, match=r"live\.web: host .* needs a token: set token or token_file"):
        web_settings(host=host)
    assert web_settings(host=host, token=TOKEN).secret == TOKEN


def test_the_server_itself_refuses_too() -> None:
    settings = web_settings().model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(InputError, match="needs a token"):
        WebServer(settings, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_alone_needs_none(host: str) -> None:
    assert web_settings(host=host).secret is None


def test_a_short_token_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hunter2\n")
    with pytest.raises(InputError, match="at least 16 characters, all ASCII; this one has 7") as failure:
        _ = web_settings(token_file=str(file)).secret
    assert "hunter2" not in str(failure.value)


def test_the_token_comes_from_the_environment_and_stays_out_of_what_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGE_TOKEN", TOKEN)
    file = tmp_path / "site.yaml"
    file.write_text("live: {web: {enabled: true, host: 0.0.0.0, token: '${PAGE_TOKEN}'}}\n")
    config = load_config(file)
    assert config.live.web.secret == TOKEN
    assert TOKEN not in repr(config) + str(config.model_dump(mode="json"))


def test_a_real_server_answers_stops_at_once_and_logs_no_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = WebServer(web_settings(token=TOKEN), TOKEN)
    server.timeline.write([make_row(1, "entrance", 1, NOW_S)])
    server.start(FixedStatus(make_status(make_camera())), lambda: NOW_S + 5)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        wait_until(lambda: client.get("/healthz").status_code == 200, 10, "the page answers")
        assert client.get("/api/status").status_code == 401
        assert client.get("/api/status", headers=headers).json()["run_id"] == "20260501T100000"
        # By the run's clock the row is 5 s old, whatever this machine's clock was set to meanwhile.
        assert len(client.get("/api/timeline", headers=headers).json()["visits"]) == 1
    server.close(10)
    with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ConnectError):
        client.get(server.url)
    assert TOKEN not in caplog.text


def test_a_port_that_is_taken_is_said() -> None:
    first = WebServer(web_settings(), None)
    first.start(FixedStatus(make_status()), lambda: NOW_S)
    port = int(first.url.rsplit(":", 1)[1].strip("/"))
    with httpx2.Client(base_url=first.url, trust_env=False) as client:
        wait_until(lambda: client.get("/healthz").status_code == 200, 10, "the page answers")
    with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port} cannot be used \(Address already in use\)"):
        WebServer(web_settings(port=port), None)
    first.close(10)


def test_tls_files_that_are_none_are_said(tmp_path: Path) -> None:
    file = tmp_path / "page.pem"
    file.write_text("nothing\n")
    server = WebServer(web_settings(tls_certificate=str(file), tls_key=str(file)), None)
    with pytest.raises(InputError, match=r"page\.pem cannot be used for TLS"):
        server.start(FixedStatus(make_status()), lambda: NOW_S)
    server.close()
