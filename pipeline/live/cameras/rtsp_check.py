"""Asks an RTSP server who would get the password, before FFmpeg sends it.

FFmpeg follows a redirect to any host, and answers any request for a password, also one for clear text.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"rtsp": 554, "rtsps": 322}
_LARGEST_ANSWER_BYTES = 65_536
_REDIRECT_CODES = range(300, 400)


@dataclass(frozen=True)
class RtspAnswer:
    """What the server answers to a request without a password.

    Attributes:
        redirect_host: another host that it redirects to; None if it does not.
        unencrypted: whether it redirects from an encrypted connection to one without encryption.
        clear_text: whether it accepts the password only in clear text (Basic), over a connection without encryption.
    """

    redirect_host: str | None = None
    unencrypted: bool = False
    clear_text: bool = False


def ask(url: str, timeout_s: float) -> RtspAnswer:
    """Return the answer to DESCRIBE. A server that does not answer properly is left to FFmpeg, which reports it.

    Args:
        url: without user and password.
    """
    until_s = time.monotonic() + timeout_s
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme.lower()]
        with _connected(parts.scheme.lower(), host, port, timeout_s) as connection:
            request = f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
            connection.sendall(request.encode())
            head = _head(connection, until_s)
    except (OSError, ValueError):
        return RtspAnswer()
    return _read(head, host, encrypted=parts.scheme.lower() == "rtsps")


def _connected(scheme: str, host: str, port: int, timeout_s: float) -> socket.socket:
    connection = socket.create_connection((host, port), timeout_s)
    if scheme != "rtsps":
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as FFmpeg; cameras sign for themselves
    try:
        return context.wrap_socket(connection)
    except OSError:
        connection.close()
        raise


def _head(connection: socket.socket, until_s: float) -> str:
    """Return what comes before the first empty line; raises TimeoutError at `until_s` on the monotonic clock."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _LARGEST_ANSWER_BYTES:
        connection.settimeout(max(until_s - time.monotonic(), 0.001))
        more = connection.recv(4096)
        if not more:
            break
        data += more
    return data.partition(b"\r\n\r\n")[0].decode("latin-1")


def _host(address: str) -> str | None:
    """Return the host of an address. One that cannot be read is returned whole: it counts as another host."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return address


def _read(head: str, host: str, *, encrypted: bool) -> RtspAnswer:
    first, *lines = head.split("\r\n")
    code = int(first.split()[1]) if len(first.split()) > 1 and first.split()[1].isdecimal() else 0
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    if code in _REDIRECT_CODES:
        address = next((value for name, value in headers if name == "location"), "")
        target = _host(address)
        return RtspAnswer(
            redirect_host=target if target and target != host.lower() else None,
            unencrypted=encrypted and address.lower().startswith("rtsp://"),
        )
    offers = [value.split()[0].lower() for name, value in headers if name == "www-authenticate" and value]
    return RtspAnswer(clear_text=not encrypted and bool(offers) and "digest" not in offers)
