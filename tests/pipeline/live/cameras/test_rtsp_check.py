"""What cameras answer before they get a password, and which transport they offer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress
from pipeline.live.cameras import rtsp_check, stream
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.rtsp_check import RtspAnswer, ask
from pipeline.live.cameras.stream import AvOpener, StreamOptions
from tests.helpers.live.waiting import HICCUP_S

BASIC = '401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"'
DIGEST = '401 Unauthorized\r\nWWW-Authenticate: Digest realm="camera", nonce="1"'
SDP = "\r\n".join(
    (
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=x",
        "t=0 0",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        "a=control:v",
        "",
    )
)


@contextmanager
def camera(answer_to: Callable[[str], str]) -> Iterator[tuple[str, list[str]]]:
    """The address of a camera, and the requests that it got; `answer_to` gives what follows 'RTSP/1.0 '."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[str] = []

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            data = b""
            while more := client.recv(4096):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    request = head.decode()
                    requests.append(request)
                    number = next(line for line in request.split("\r\n") if line.startswith("CSeq"))
                    answer, _, body = answer_to(request).partition("\r\n\r\n")
                    length = f"Content-Length: {len(body)}\r\n" if body else ""
                    client.sendall(f"RTSP/1.0 {answer}\r\n{number}\r\n{length}\r\n{body}".encode())

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"rtsp://127.0.0.1:{listener.getsockname()[1]}/x", requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def opener(url: str, password: str | None = "geheim", transport: str = "tcp") -> AvOpener:
    user = None if password is None else "viewer"
    return AvOpener(StreamAddress(url, user, password), StreamOptions(transport, 2.0, 1.0), Redactor())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (BASIC, RtspAnswer(clear_text=True)),
        (DIGEST, RtspAnswer()),
        (f"{BASIC}\r\nWWW-Authenticate: Digest realm=x", RtspAnswer()),
        ("200 OK", RtspAnswer()),
        ("302 Moved\r\nLocation: rtsp://evil.example/x", RtspAnswer(redirect_host="evil.example")),
        ("301 Moved\r\nLocation: rtsp://127.0.0.1:99/other", RtspAnswer()),
        ("305 Use proxy\r\nlocation:rtsp://10.0.0.9:554/", RtspAnswer(redirect_host="10.0.0.9")),
        ("302 Moved\r\nLocation: rtsp://[evil/x", RtspAnswer(redirect_host="rtsp://[evil/x")),
        ("404 Not Found", RtspAnswer()),
        ("nonsense", RtspAnswer()),
    ],
)
def test_the_answer_is_understood(answer: str, expected: RtspAnswer) -> None:
    with camera(lambda request: answer) as (url, requests):
        assert ask(url, 2.0) == expected
    assert "authorization" not in "".join(requests).lower()


@pytest.mark.parametrize(
    ("address", "unencrypted"),
    [("rtsp://camera/x", True), ("RTSP://camera:554/x", True), ("rtsps://camera/y", False), ("/y", False)],
)
def test_a_redirect_to_the_same_host_without_encryption_is_noticed(address: str, unencrypted: bool) -> None:
    answer = f"RTSP/1.0 302 Moved\r\nLocation: {address}"
    assert rtsp_check._read(answer, "camera", encrypted=True) == RtspAnswer(unencrypted=unencrypted)
    assert rtsp_check._read(answer, "camera", encrypted=False) == RtspAnswer()


def test_no_password_leaves_the_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "ask", lambda url, timeout_s: RtspAnswer(unencrypted=True))
    with pytest.raises(StreamProblem, match="redirects to an address without encryption") as refused:
        opener("rtsps://127.0.0.1:1/x")()
    assert refused.value.reason is Reason.DENIED


def test_an_answer_cannot_write_to_the_terminal() -> None:
    with (
        camera(lambda request: "302 Moved\r\nLocation: rtsp://\x1b[2Jevil/x") as (url, _),
        pytest.raises(StreamProblem) as refused,
    ):
        opener(url)()
    assert "\x1b" not in refused.value.text
    assert "\\x1b[2J" in refused.value.text


def test_a_camera_that_answers_byte_by_byte_is_not_waited_for_longer_than_asked() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            while True:
                client.sendall(b"x")
                time.sleep(0.02)

    thread = threading.Thread(target=drip)
    thread.start()
    began_s = time.monotonic()
    with listener:
        assert ask(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/x", 0.2) == RtspAnswer()
    assert time.monotonic() - began_s < 0.2 + HICCUP_S
    thread.join()


def test_no_password_goes_to_the_target_of_a_redirect() -> None:
    with (
        camera(lambda request: DIGEST) as (_, there),
        camera(lambda request: "302 Moved\r\nLocation: rtsp://localhost:1/x") as (url, _),
        pytest.raises(StreamProblem, match="redirects to localhost, which would get the password") as refused,
    ):
        opener(url)()
    assert refused.value.reason is Reason.DENIED
    assert there == []


def test_a_password_in_clear_text_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with camera(lambda request: BASIC) as (url, _):
        open_it = opener(url)
        for _ in range(3):
            with pytest.raises(StreamProblem):
                open_it()
        with pytest.raises(StreamProblem):
            opener(url, None)()
    assert caplog.text.count("asks for the password in clear text (Basic)") == 1
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(("password", "said"), [("geheim", 1), (None, 0)])
def test_a_password_over_http_is_said_once(
    caplog: pytest.LogCaptureFixture, password: str | None, said: int
) -> None:
    open_it = opener("http://127.0.0.1:1/video.mjpg", password)
    for _ in range(2):
        with pytest.raises(StreamProblem):
            open_it()
    assert caplog.text.count("is not encrypted, so others in the network can read the password") == said
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(("asked", "offered"), [("tcp", "udp"), ("udp", "tcp")])
def test_a_camera_with_one_transport_gets_that_and_it_is_said_once(
    asked: str, offered: str, caplog: pytest.LogCaptureFixture
) -> None:

    def answer(request: str) -> str:
        if request.startswith("OPTIONS"):
            return "200 OK\r\nPublic: DESCRIBE, SETUP, PLAY"
        if request.startswith("DESCRIBE"):
            return f"200 OK\r\nContent-Type: application/sdp\r\n\r\n{SDP}"
        if request.startswith("SETUP"):
            tcp = "RTP/AVP/TCP" in request
            if tcp is (offered == "tcp"):
                way = "RTP/AVP/TCP;unicast;interleaved=0-1" if tcp else "RTP/AVP;unicast;client_port=5000-5001"
                return f"200 OK\r\nSession: 1\r\nTransport: {way};server_port=6000-6001"
            return "461 Unsupported Transport"
        return "200 OK\r\nSession: 1"

    with camera(answer) as (url, requests):
        open_it = opener(url, None, asked)
        for _ in range(2):
            open_it().close()
    assert caplog.text.count(f"refuses transport: {asked}, so {offered} is used") == 1
    setups = [request for request in requests if request.startswith("SETUP")]
    assert ["TCP" in request for request in setups[:2]] == [asked == "tcp", offered == "tcp"]
    assert any(request.startswith("PLAY") for request in requests)


def test_neither_transport_is_said() -> None:
    def answer(request: str) -> str:
        if request.startswith("DESCRIBE"):
            return f"200 OK\r\nContent-Type: application/sdp\r\n\r\n{SDP}"
        return "461 Unsupported Transport" if request.startswith("SETUP") else "200 OK\r\nPublic: DESCRIBE, SETUP"

    with (
        camera(answer) as (url, _),
        pytest.raises(StreamProblem, match="the camera offers neither TCP nor UDP for its video"),
    ):
        opener(url, None)()


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_an_unknown_host_is_said(scheme: str) -> None:
    with pytest.raises(StreamProblem, match=r"there is no host camera\.invalid \(.+\): check the name"):
        opener(f"{scheme}://camera.invalid/x", None)()
