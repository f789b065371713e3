"""TLS for the page that holds little memory for clients that do not finish the handshake.

asyncio keeps 256 kB for each connection until the garbage collector finds them, which is seldom in a process with many
objects: thousands of such clients, who need no token, would take gigabytes.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any

from pipeline.live.web.connections import REQUEST_S


class LeanTls(SSLProtocol):
    """TLS of one connection, between its socket and the protocol of its requests."""

    max_size = 32_768  # read at once; a record of TLS has at most 16 kB

    def __init__(
        self, loop: asyncio.AbstractEventLoop, requests: asyncio.Protocol, context: ssl.SSLContext
    ) -> None:
        super().__init__(loop, requests, context, None, server_side=True, ssl_handshake_timeout=REQUEST_S)  # type: ignore[arg-type]

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release the memory now; an exception and its frames refer to each other, and to this object."""
        super().connection_lost(exc)
        self._ssl_buffer_view = memoryview(b"")
        self._ssl_buffer = bytearray()
        self._sslobj = None  # with the buffers of OpenSSL; unused once the connection is lost


def with_tls(
    requests: Callable[..., asyncio.Protocol], context: ssl.SSLContext
) -> Callable[..., asyncio.Protocol | SSLProtocol]:
    """Return the factory of protocols that decrypt what those of `requests` handle; it is called by the event loop."""

    def protocol(*arguments: Any, **named: Any) -> SSLProtocol:
        return LeanTls(asyncio.get_running_loop(), requests(*arguments, **named), context)

    return protocol
