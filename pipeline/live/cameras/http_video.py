"""Reads endless video over HTTP, such as MJPEG, with limits that FFmpeg's own client does not have.

FFmpeg keeps as much of a picture in memory as the camera states or sends until the timeout ends it, up to 2 GB, and
reports a circle of redirects as an error of input and output.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
import urllib.error
import urllib.request
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from http.cookiejar import CookieJar
from typing import IO, Any
from urllib.parse import urlsplit

from pipeline.core.stream_address import StreamAddress
from pipeline.live.cameras.hls_list import LARGEST_LIST_BYTES, list_problem
from pipeline.live.cameras.problem import Reason, StreamProblem

_MOST_REDIRECTS = 8
# No compressed picture is larger than one byte for each pixel; FFmpeg reads 5 MB before it knows the format.
_LEAST_LIMIT_BYTES = 8_000_000
_MJPEG = "multipart/x-mixed-replace"


class Deadline:
    """The time at which an answer is no longer waited for."""

    def __init__(self, within_s: float) -> None:
        self.set(within_s)

    def set(self, within_s: float) -> None:
        """Wait for `within_s` from now on."""
        self._until_s = time.monotonic() + within_s

    @property
    def left_s(self) -> float:
        """Seconds that are left, more than 0 (which would mean not to wait at all)."""
        return max(self._until_s - time.monotonic(), 0.001)


class HttpVideo:
    """The body of an endless answer, as a file for FFmpeg; used by one thread.

    Attributes:
        name: address without user and password; its ending may tell the format.
        format: FFmpeg's name of the format if the server states it, else None.
        problem: why reading ended, if it did.
    """

    def __init__(
        self, response: HTTPResponse, url: str, deadline: Deadline, read_timeout_s: float, max_picture_px: int
    ) -> None:
        self.name = url
        self.format = "mpjpeg" if response.headers.get_content_type() == _MJPEG else None
        self.problem: StreamProblem | None = None
        self._response = response
        self._deadline = deadline
        self._read_timeout_s = read_timeout_s
        self._max_picture_px = max_picture_px
        self._limit_bytes = max(max_picture_px, _LEAST_LIMIT_BYTES)
        self._since_packet_bytes = 0

    def next_packet(self) -> None:
        """Begin to wait for the next packet: time and bytes are counted from now on."""
        self._deadline.set(self._read_timeout_s)
        self._since_packet_bytes = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes as they arrive; empty at the end.

        Raises:
            StreamProblem: nothing arrived in time, or too much without a whole packet.
        """
        try:
            data = self._response.read1(size)
        except TimeoutError:
            raise self._failed(Reason.TIMEOUT, "no packet in time") from None
        except (OSError, HTTPException, ValueError) as error:
            raise self._failed(Reason.NETWORK, f"the connection failed ({error})") from None
        self._since_packet_bytes += len(data)
        if self._since_packet_bytes > self._limit_bytes:
            raise self._failed(
                Reason.CODEC,
                f"a picture has more than {self._limit_bytes / 1e6:.0f} MB, too much for one of "
                f"runtime.max_picture_megapixels ({self._max_picture_px / 1e6:g})",
            )
        return data

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def _failed(self, reason: Reason, text: str) -> StreamProblem:
        self.problem = StreamProblem(reason, text)
        return self.problem


def open_http(
    address: StreamAddress, open_timeout_s: float, read_timeout_s: float, max_picture_px: int
) -> HttpVideo | None:
    """Return the video at an address of HTTP; None if FFmpeg's own client has to read it: a list of segments, a file,
    or a server that only FFmpeg may understand.

    Raises:
        StreamProblem: there is no answer in time, the redirects do not end, or the server refuses.
    """
    deadline = Deadline(open_timeout_s)
    opener = _opener(address, deadline)
    try:
        response = _get(opener, address.url, open_timeout_s)
        if _is_list(response):
            _check_list(opener, response, open_timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        _raise_for(error)
        return None
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
            raise StreamProblem(Reason.TIMEOUT, "no answer in time") from None
        return None
    if _is_endless(response):
        return HttpVideo(response, address.url, deadline, read_timeout_s, max_picture_px)
    response.close()
    return None


def _get(opener: urllib.request.OpenerDirector, url: str, timeout_s: float) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "mtmc", "Accept": "*/*"})
    response: HTTPResponse = opener.open(request, timeout=timeout_s)
    return response


def _check_list(opener: urllib.request.OpenerDirector, response: HTTPResponse, timeout_s: float) -> None:
    """Raise StreamProblem for a list of HLS that FFmpeg could not follow."""

    def text_of(answer: HTTPResponse) -> str:
        with answer:
            data = answer.read(LARGEST_LIST_BYTES + 1)
        if len(data) > LARGEST_LIST_BYTES:
            raise StreamProblem(Reason.CODEC, f"the HLS list has more than {LARGEST_LIST_BYTES / 1e6:g} MB")
        return data.decode("utf-8", "replace")

    problem = list_problem(
        response.url, text_of(response), lambda variant: text_of(_get(opener, variant, timeout_s))
    )
    if problem is not None:
        raise StreamProblem(Reason.CODEC, problem)


def _raise_for(error: urllib.error.HTTPError) -> None:
    """Raise StreamProblem for an answer that FFmpeg need not ask for again."""
    if 300 <= error.code < 400:
        text = f"the server redirects in a circle, more than {_MOST_REDIRECTS} times, or to no address of HTTP"
        raise StreamProblem(Reason.NETWORK, f"{text}: check the address")
    if error.code in (401, 403):
        raise StreamProblem(
            Reason.DENIED, f"access denied ({error.code} {error.reason}): check username and password"
        )
    if error.code == 404:
        raise StreamProblem(Reason.NOT_FOUND, f"there is no such stream (404 {error.reason}): check the path")


def _is_list(response: HTTPResponse) -> bool:
    return "mpegurl" in response.headers.get_content_type() or ".m3u8" in response.url


def _is_endless(response: HTTPResponse) -> bool:
    kind = response.headers.get_content_type()
    if _is_list(response) or "dash+xml" in kind or ".mpd" in response.url:
        return False
    return kind == _MJPEG or response.headers.get("Content-Length") is None


class _Timed(io.RawIOBase):
    """What arrives at a socket until a deadline, even if it arrives byte by byte."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._raw = connection.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._deadline.left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, connection: socket.socket, *arguments: Any, deadline: Deadline, **named: Any) -> None:
        super().__init__(connection, *arguments, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(connection, deadline))


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_repeats = 2
    max_redirections = _MOST_REDIRECTS

    def __init__(self, *, has_password: bool) -> None:
        self._has_password = has_password

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if self._has_password and req.type == "https" and urlsplit(newurl).scheme == "http":
            raise StreamProblem(
                Reason.DENIED,
                "the camera redirects to an address without encryption (http://), where others in the network could "
                "read the password: set source to that address if they may",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Digest(urllib.request.HTTPDigestAuthHandler):
    def http_error_401(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        fp.close()  # urllib leaves that to the garbage collector
        given = req.get_header("Authorization") or ""
        stale = "stale=true" in headers.get("WWW-Authenticate", "").lower().replace('"', "")
        if given.startswith("Digest") and not stale:
            return None  # the password is wrong; cameras lock a login that is tried again and again
        return super().http_error_401(req, fp, code, msg, headers)


class _Basic(urllib.request.HTTPBasicAuthHandler):
    def http_error_401(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        fp.close()
        offers = " ".join(headers.get_all("WWW-Authenticate", [])).lower()
        if "digest " in offers:
            return None  # the password is not sent in clear text where it need not be
        return super().http_error_401(req, fp, code, msg, headers)


def _opener(address: StreamAddress, deadline: Deadline) -> urllib.request.OpenerDirector:
    """Return a client for HTTP and HTTPS only, which keeps the deadline and sends the password only to this host."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as FFmpeg; cameras sign for themselves
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),
        _Http(deadline),
        _Https(deadline, context),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(has_password=address.password is not None),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPCookieProcessor(CookieJar()),
    ]
    if address.username is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        parts = urlsplit(address.url)
        passwords.add_password(None, f"{parts.scheme}://{parts.netloc}/", address.username, address.password or "")
        handlers += [_Digest(passwords), _Basic(passwords)]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_timed_connection, HTTPConnection, self._deadline), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._deadline = deadline
        self._unverified = context

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(
            partial(_timed_connection, HTTPSConnection, self._deadline, context=self._unverified), req
        )


def _timed_connection(
    kind: type[HTTPConnection], deadline: Deadline, host: str, *, timeout: float, **named: Any
) -> HTTPConnection:
    connection = kind(host, timeout=min(timeout, deadline.left_s), **named)
    connection.response_class = partial(_TimedResponse, deadline=deadline)  # type: ignore[assignment]
    return connection
