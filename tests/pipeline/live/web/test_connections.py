"""Clients that only hold connections take nothing from the run, and others are answered beside them."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psutil
import pytest

from pipeline.config.config import load_config
from pipeline.live.web import connections
from pipeline.live.web.server import WebServer
from tests.helpers.live.examples import NOW_S, FixedStatus, make_camera, make_status
from tests.helpers.live.servers import wait_until

LIMIT = 8


@contextmanager
def page(token: str | None = None) -> Iterator[WebServer]:
    """A page that is served on a free port."""
    settings = load_config(None, {"live": {"web": {"enabled": True, "port": 0}}}).live.web
    served = WebServer(settings, token)
    served.start(FixedStatus(make_status(make_camera())), lambda: NOW_S)
    try:
        wait_until(lambda: answers(served), 10, "the page answers")
        yield served
    finally:
        served.close(10)


def answers(served: WebServer) -> bool:
    try:
        return bool(httpx2.get(f"{served.url}livez", trust_env=False, timeout=5).status_code == 200)
    except httpx2.TransportError:
        return False


def connect(served: WebServer) -> socket.socket:
    port = int(served.url.rsplit(":", 1)[1].strip("/"))
    return socket.create_connection(("127.0.0.1", port), 5)


@pytest.mark.parametrize("sends", [b"", b"GET / HT", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_more_connections_than_the_limit_close_the_oldest_and_others_are_answered(
    monkeypatch: pytest.MonkeyPatch, sends: bytes
) -> None:
    """Silent ones, ones that stop in a request, and ones that were answered and stay."""
    monkeypatch.setattr(connections, "connection_limit", lambda: LIMIT)
    with page() as served:
        process = psutil.Process()
        before = process.num_fds()
        held = []
        try:
            for _ in range(10 * LIMIT):
                held.append(connect(served))
                held[-1].sendall(sends)
            wait_until(lambda: process.num_fds() - len(held) <= before + LIMIT + 2, 10, "the oldest are closed")
            assert answers(served)
            assert process.num_fds() - len(held) <= before + LIMIT + 2
        finally:
            for one in held:
                one.close()


@pytest.mark.parametrize("kind", ["silent", "byte by byte", "answer not read"])
def test_a_connection_without_an_answered_request_is_closed_in_time(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.5)
    with page() as served, connect(served) as client:
        began_s = time.monotonic()
        client.settimeout(0.1)
        if kind == "answer not read":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(2000):  # until the server takes no more, because its answers are not read
                try:
                    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                except OSError:
                    break
        ended = False
        while not ended and time.monotonic() - began_s < 10:
            try:
                if kind == "byte by byte":
                    client.sendall(b"G")
                elif kind == "answer not read":
                    client.sendall(b"x")
                    time.sleep(0.1)
                    continue
                ended = client.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended
        assert answers(served)


@pytest.mark.parametrize(("descriptors", "limit"), [(64, 8), (256, 32), (1024, 100), (1_000_000, 100)])
def test_the_page_takes_a_small_share_of_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, limit: int
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (descriptors, descriptors))
    assert connections.connection_limit() == limit


def test_without_a_free_descriptor_connections_are_refused_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They would otherwise wait, and be reported thousands of times."""
    real = socket.socket.accept
    free = False

    def accept(self: socket.socket) -> object:
        if (
            not free
            and self.fileno() != -1
            and isinstance(self, connections.LimitedListener)
            and not refusing(self)
        ):
            raise OSError(24, "Too many open files")
        return real(self)

    def refusing(listener: connections.LimitedListener) -> bool:
        return listener._reserve is None

    with page() as served:
        monkeypatch.setattr(socket.socket, "accept", accept)
        for _ in range(20):
            with connect(served) as client:
                client.settimeout(5)
                assert client.recv(1) == b""
        free = True
        wait_until(lambda: answers(served), 5, "the page answers")
    assert caplog.text.count("a connection was refused (Too many open files)") == 1


@pytest.mark.parametrize(
    ("request_bytes", "said"),
    [
        pytest.param(b"\x16\x03\x01\r\n\r\n", "Invalid HTTP request received", id="no HTTP"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "Unsupported upgrade request",
            id="web socket",
        ),
        pytest.param(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nto", None, id="half a form"
        ),
        pytest.param(
            b"GET /api/identities/" + b"9" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", None, id="a huge id"
        ),
    ],
)
def test_requests_do_not_fill_the_log(
    caplog: pytest.LogCaptureFixture, request_bytes: bytes, said: str | None
) -> None:
    """Clients need no token to send them."""
    with page("0123456789abcdef-token" if b"login" in request_bytes else None) as served:
        for _ in range(20):
            with connect(served) as client:
                client.sendall(request_bytes)
                if b"login" not in request_bytes:
                    client.settimeout(5)
                    client.recv(100)
        assert answers(served)
    assert "Traceback" not in caplog.text
    assert caplog.text.count("the page: ") <= 2
    if said is not None:
        assert caplog.text.count(f"the page: {said}") == 1


def test_messages_that_are_left_out_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 0.0
    monkeypatch.setattr(connections.time, "monotonic", lambda: now_s)
    log = logging.getLogger("tests.few")
    few = connections.FewMessages()
    log.addFilter(few)
    for _ in range(5):
        log.warning("Invalid request\n")
    log.warning("another kind")
    now_s = 61.0
    log.warning("Invalid request\n")
    log.removeFilter(few)
    assert caplog.messages == [
        "the page: Invalid request",
        "the page: another kind",
        "the page: Invalid request (4 more since it was last said)",
    ]
