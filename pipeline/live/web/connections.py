"""Limits what clients of the page can take from the run: connections, descriptors, and time.

A client needs no token to open a connection, and every connection takes a descriptor of the process that also reads
cameras and writes rows.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import time
from collections import deque
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.core.errors import InputError

# The page uses at most this share of the descriptors, and at most this number. A browser has about six per tab.
_DESCRIPTOR_SHARE = 1 / 8
_MOST_CONNECTIONS = 100
_FEWEST_CONNECTIONS = 8
# Connections that are closed together to make room; one by one, a health check would wait behind busy clients.
_CLOSED_TOGETHER = 8
#: A connection on which no request was answered for this long is closed, also while its request still arrives or its
#: answer is not read.
REQUEST_S = 10.0
#: Connections that may wait to be accepted.
BACKLOG = 64
_TELL_S = 60.0
# Errors that end when another descriptor is closed.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger(__name__)


def connection_limit() -> int:
    """Return how many connections the page may hold, by the number of descriptors that the process may open."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return _MOST_CONNECTIONS
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, int(descriptors * _DESCRIPTOR_SHARE)))


class LimitedListener(socket.socket):
    """A listening socket whose connections are limited: a new one closes the oldest one.

    A new client is therefore always answered, such as a health check while somebody holds silent connections. One
    descriptor is kept in reserve, so that connections are refused instead of left waiting when no other one is free.

    Args:
        limit: largest number of open connections.
    """

    def __init__(self, family: int, kind: int, protocol: int, limit: int) -> None:
        super().__init__(family, kind, protocol)
        self._limit = limit
        self._connections: deque[socket.socket] = deque()
        self._closing: list[socket.socket] = []
        self._closing_since_s = 0.0
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY)
        self._told_s = float("-inf")

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; raise BlockingIOError if there is none, or while an old one still has to be closed."""
        self._make_room()
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._refuse(error)
            raise BlockingIOError from error
        self._connections.append(connection)
        return connection, address

    def close(self) -> None:
        """Stop listening."""
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        super().close()

    def _make_room(self) -> None:
        self._connections = deque(one for one in self._connections if one.fileno() != -1)
        if len(self._connections) < self._limit:
            return
        now_s = time.monotonic()
        pending = any(one.fileno() != -1 for one in self._closing)
        if not pending or now_s - self._closing_since_s > 1.0:
            self._tell(f"more than {self._limit} connections; the oldest ones are closed")
            self._closing_since_s = now_s
            self._closing = [self._connections.popleft() for _ in range(min(_CLOSED_TOGETHER, self._limit // 4))]
            self._connections += self._closing  # they still hold their descriptors
            for one in self._closing:
                with suppress(OSError):  # the client has left meanwhile
                    one.shutdown(socket.SHUT_RDWR)
        raise BlockingIOError

    def _refuse(self, error: OSError) -> None:
        """Close a waiting connection with the help of the reserved descriptor."""
        self._tell(f"a connection was refused ({error.strerror})")
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        with suppress(OSError):  # another thread was faster, or the client has left
            super().accept()[0].close()
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            time.sleep(0.05)  # until then, waiting connections would be retried without a pause

    def _tell(self, text: str) -> None:
        if time.monotonic() - self._told_s >= _TELL_S:
            self._told_s = time.monotonic()
            _log.warning("the page: %s", text)


def listening(host: str, port: int, page: str, port_option: str) -> LimitedListener:
    """Return a socket that listens at an address.

    Args:
        port: 0 for any free one.
        page, port_option: for the message: the page, and the setting of its port.

    Raises:
        InputError: the address cannot be used.
    """
    bound = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = LimitedListener(family, kind, protocol, connection_limit())
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        if bound is not None:
            bound.close()
        raise InputError(
            f"{page}: {host}:{port} cannot be used ({error.strerror}); if another program uses it, choose another "
            f"{port_option}"
        ) from error
    return bound


class FewMessages(logging.Filter):
    """Filter for the log of the server: clients need no token to cause a message with each request, so each kind of
    message passes once a minute. The next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, object], tuple[float, int]] = {}  # monotonic time, and messages since then

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record passes."""
        kind = (str(record.msg), record.exc_info[0] if record.exc_info else None)
        now_s = time.monotonic()
        told_s, left_out = self._told.get(kind, (float("-inf"), 0))
        if now_s - told_s < _TELL_S:
            self._told[kind] = (told_s, left_out + 1)
            return False
        self._told[kind] = (now_s, 0)
        more = f" ({left_out} more since it was last said)" if left_out else ""
        record.msg, record.args = f"the page: {record.getMessage().strip()}{more}", None
        return True


class TimedProtocol(H11Protocol):
    """Closes a connection on which no request is answered in time: a silent client, a request that arrives byte by
    byte, or an answer that nobody reads."""

    _answered = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch a new connection."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(REQUEST_S, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Note that a request was answered."""
        self._answered = True
        super().on_response_complete()

    def _check(self) -> None:
        if not self._answered or self.transport.is_closing():
            self.transport.abort()
            return
        self._answered = False
        self._timer = self.loop.call_later(REQUEST_S, self._check)
