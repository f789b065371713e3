"""Cameras over HTTP that send too much, nothing, or lead in a circle; and that others still work."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
import pytest

from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress
from pipeline.live.cameras.hls_list import list_problem
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.stream import AvOpener, Picture, StreamOptions
from tests.helpers.live.live_process import clip
from tests.helpers.live.waiting import HICCUP_S

JPEG = cv2.imencode(".jpg", np.full((240, 320, 3), 128, np.uint8))[1].tobytes()
MJPEG_HEAD = {"Content-Type": "multipart/x-mixed-replace; boundary=picture"}
PART = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(JPEG)}\r\n\r\n".encode() + JPEG + b"\r\n"
TIMEOUT_S = 2.0

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def camera(answer: Answer) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The address of a camera, and the path and the login of each request to it."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            self.close_connection = True
            with suppress(OSError):  # the client has left
                answer(self)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def head(request: BaseHTTPRequestHandler, headers: dict[str, str], code: int = 200) -> None:
    request.send_response(code)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()


def pictures_of(address: str, count: int, **options: float) -> list[Picture]:
    """The first pictures of a camera; raises StreamProblem."""
    opener = AvOpener(
        StreamAddress.parse(address),
        StreamOptions("tcp", TIMEOUT_S, TIMEOUT_S, **options),  # type: ignore[arg-type]
        Redactor(),
    )
    stream = opener()
    found: list[Picture] = []
    try:
        for received in stream.packets():
            found += received.pictures
            if len(found) >= count:
                break
    finally:
        stream.close()
    return found


def refused(address: str, **options: float) -> StreamProblem:
    with pytest.raises(StreamProblem) as caught:
        pictures_of(address, 1, **options)
    return caught.value


@pytest.mark.parametrize("stated", ["Content-Length: 2000000000\r\n", ""], ids=["stated size", "no size"])
@pytest.mark.parametrize("good", [0, 30], ids=["first picture", "later picture"])
def test_a_picture_that_does_not_end_is_not_kept_in_memory(stated: str, good: int) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        head(request, MJPEG_HEAD)
        for _ in range(good):
            request.wfile.write(PART)
        request.wfile.write(f"--picture\r\nContent-Type: image/jpeg\r\n{stated}\r\n".encode())
        while True:
            request.wfile.write(bytes(1_000_000))

    memory = MemoryWatch()
    with camera(answer) as (address, _), memory:
        problem = refused(address) if not good else until_problem(address)
    assert problem.reason is Reason.CODEC
    assert "a picture has more than 64 MB" in str(problem)
    assert memory.grown_bytes < 350e6  # without a limit, as much as arrives in two seconds


def until_problem(address: str) -> StreamProblem:
    with pytest.raises(StreamProblem) as caught:
        assert len(pictures_of(address, 10_000)) == 0
    return caught.value


class MemoryWatch:
    """The largest growth of this process, measured every few milliseconds."""

    def __init__(self) -> None:
        self.grown_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *of_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        before = process.memory_info().rss
        while not self._stop.wait(0.01):
            self.grown_bytes = max(self.grown_bytes, process.memory_info().rss - before)


def test_pictures_of_a_small_limit(tmp_path: Path) -> None:
    """The limit follows the largest picture that may be decoded, and leaves room to find out the format."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        head(request, MJPEG_HEAD)
        while True:
            request.wfile.write(PART)
            time.sleep(0.02)

    with camera(answer) as (address, _):
        assert len(pictures_of(address, 5, max_picture_px=100_000)) >= 5


@pytest.mark.parametrize(
    "to", [lambda path, number: "/a", lambda path, number: "/b" if path == "/a" else "/a", lambda p, n: f"/{n}"]
)
@pytest.mark.parametrize("code", [301, 302, 307])
def test_redirects_in_a_circle_are_said_at_once(to: Callable[[str, int], str], code: int) -> None:
    count = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal count
        count += 1
        head(request, {"Location": to(request.path, count), "Content-Length": "0"}, code)

    began_s = time.monotonic()
    with camera(answer) as (address, asked):
        problem = refused(f"{address}/a")
        assert len(asked) <= 10
    assert "redirects in a circle" in str(problem)
    assert time.monotonic() - began_s < 1 + HICCUP_S


def test_a_redirect_is_followed(tmp_path: Path) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/old":
            head(request, {"Location": "/new", "Content-Length": "0"}, 302)
            return
        head(request, MJPEG_HEAD)
        while True:
            request.wfile.write(PART)
            time.sleep(0.02)

    with camera(answer) as (address, _):
        assert pictures_of(f"{address}/old", 3)[0].size_wh == (320, 240)


SELF = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlive.m3u8?again\n"
NO_TIME = "#EXTM3U\n#EXT-X-TARGETDURATION:0\n#EXTINF:0.0,\na.ts\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(SELF, "leads to another list of variants", id="list that names itself"),
        pytest.param(NO_TIME, "last 0 s", id="parts without time"),
    ],
)
def test_a_list_of_hls_that_leads_nowhere_is_said_at_once(text: str, problem: str) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        head(request, {"Content-Length": str(len(text)), "Content-Type": "application/vnd.apple.mpegurl"})
        request.wfile.write(text.encode())

    with camera(answer) as (address, asked):
        assert problem in str(refused(f"{address}/live.m3u8"))
        assert len(asked) <= 3


def test_a_list_of_hls_that_does_not_end_is_not_kept_in_memory() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        head(request, {"Content-Type": "application/x-mpegurl"})
        request.wfile.write(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n")
        while True:
            request.wfile.write(b"#EXTINF:1.0,\na.ts\n" * 1000)

    memory = MemoryWatch()
    with camera(answer) as (address, _), memory:
        assert "more than 2 MB" in str(refused(f"{address}/live"))
    assert memory.grown_bytes < 100e6


def test_lists_that_lead_to_parts_are_followed() -> None:
    def variant(url: str) -> str:
        assert url == "http://h/x/a.m3u8"
        return "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.5,\na.ts\n"

    assert (
        list_problem("http://h/x/live.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", variant) is None
    )
    assert list_problem("http://h/x/live.m3u8", "#EXTM3U\n", variant) is None


@pytest.mark.parametrize("where", ["status line", "headers", "body", "nothing"])
def test_a_camera_that_sends_byte_by_byte_is_not_waited_for_longer_than_asked(where: str) -> None:
    def drip(request: BaseHTTPRequestHandler, data: bytes) -> None:
        for number in range(len(data)):
            request.wfile.write(data[number : number + 1])
            time.sleep(0.1)

    def answer(request: BaseHTTPRequestHandler) -> None:
        if where == "nothing":
            time.sleep(10)
        if where == "status line":
            drip(request, b"HTTP/1.1 200 OK" + b" " * 200)
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=picture\r\n")
        if where == "headers":
            drip(request, b"X: " + b"a" * 200)
        request.wfile.write(b"\r\n")
        drip(request, PART)

    began_s = time.monotonic()
    with camera(answer) as (address, _):
        problem = refused(address)
    assert problem.reason is Reason.TIMEOUT
    assert time.monotonic() - began_s < TIMEOUT_S + HICCUP_S


def test_a_camera_that_falls_silent_is_left_after_the_timeout() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        head(request, MJPEG_HEAD)
        for _ in range(30):
            request.wfile.write(PART)
        time.sleep(10)

    began_s = time.monotonic()
    with camera(answer) as (address, _):
        assert until_problem(address).reason is Reason.TIMEOUT
    assert time.monotonic() - began_s < TIMEOUT_S + HICCUP_S


def needs_login(request: BaseHTTPRequestHandler, kind: str) -> bool:
    """Whether the request has the password pass of the user user; otherwise it was answered."""
    given = request.headers.get("Authorization", "")
    if kind == "basic" and given == f"Basic {base64.b64encode(b'user:pa@ss').decode()}":
        return True
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', given))
    if kind == "digest" and given.startswith("Digest"):

        def digest(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        expected = digest(f"{digest('user:door:pa@ss')}:n1:{digest(f'GET:{request.path}')}")
        if "qop" in fields:
            parts = ("n1", fields["nc"], fields["cnonce"], fields["qop"])
            expected = digest(f"{digest('user:door:pa@ss')}:{':'.join(parts)}:{digest(f'GET:{request.path}')}")
        if fields.get("response") == expected:
            return True
    challenge = 'Basic realm="door"' if kind == "basic" else 'Digest realm="door", nonce="n1", qop="auth"'
    head(request, {"WWW-Authenticate": challenge, "Content-Length": "0"}, 401)
    return False


@pytest.mark.parametrize("kind", ["basic", "digest"])
def test_a_password_is_given_where_it_is_asked_for(kind: str) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if needs_login(request, kind):
            head(request, {**MJPEG_HEAD, "Transfer-Encoding": "chunked"})
            while True:
                request.wfile.write(f"{len(PART):x}\r\n".encode() + PART + b"\r\n")
                time.sleep(0.02)

    with camera(answer) as (address, asked):
        host = urlsplit(address).netloc
        assert len(pictures_of(f"http://user:pa%40ss@{host}/video?x=1", 5)) >= 5
        assert {path for path, _ in asked} == {"/video?x=1"}
        before = len(asked)
        assert refused(f"http://user:wrong@{host}/video").reason is Reason.DENIED
        assert len(asked) - before <= 2  # a camera locks a login after some wrong passwords


def test_no_password_goes_to_the_target_of_a_redirect() -> None:
    def other(request: BaseHTTPRequestHandler) -> None:
        needs_login(request, "basic")

    with camera(other) as (target, asked):

        def answer(request: BaseHTTPRequestHandler) -> None:
            if needs_login(request, "basic"):
                head(request, {"Location": f"{target}/video", "Content-Length": "0"}, 302)

        with camera(answer) as (address, _):
            assert refused(f"http://user:pa%40ss@{urlsplit(address).netloc}/").reason is Reason.DENIED
        assert asked
        assert {login for _, login in asked} == {""}


@pytest.mark.parametrize(
    ("code", "reason"), [(403, Reason.DENIED), (404, Reason.NOT_FOUND), (503, Reason.NETWORK)]
)
def test_a_refusal_is_said(code: int, reason: Reason) -> None:
    with camera(lambda request: head(request, {"Content-Length": "0"}, code)) as (address, _):
        assert refused(address).reason is reason


@pytest.mark.parametrize("suffix", ["ts", "mkv", "flv"])
@pytest.mark.parametrize("sized", [False, True])
def test_other_formats_are_read(tmp_path: Path, suffix: str, sized: bool) -> None:
    import av

    path = tmp_path / f"a.{suffix}"
    with av.open(str(clip(tmp_path, "a", 2.0))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = path.read_bytes()

    def answer(request: BaseHTTPRequestHandler) -> None:
        head(request, {"Content-Length": str(len(data))} if sized else {})
        request.wfile.write(data)

    with camera(answer) as (address, _):
        assert len(pictures_of(f"{address}/a.{suffix}", 10)) >= 10
