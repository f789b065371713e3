"""Sends batches of messages as JSON lines in HTTP POST requests."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from pipeline.live.sinks.transport import DeliveryError, Message

CONTENT_TYPE = "application/x-ndjson"
# Of an answer, which nobody needs; the connection is used again only if it was read to its end.
_MOST_ANSWER_BYTES = 1 << 16
# A server may close a connection that was idle, just when it is used again.
_CLOSED_MEANWHILE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class WebhookTransport:
    """Posts to one address. A batch is delivered when the answer is 2xx; redirections are not followed.

    Args:
        url: http or https, without a login; it may be secret as a whole, and appears in no error.
        token: sent as `Authorization: Bearer TOKEN`; None for none; it appears in no error.
        ca_file: certificates to trust instead of those of the system.
        timeout_s: limit in s for connecting, and for each part of an answer.
    """

    def __init__(
        self, *, url: str, token: str | None = None, ca_file: str | None = None, timeout_s: float = 5.0
    ) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port
        self._encrypted = address.scheme == "https"
        self._target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "mtmc"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._ca_file, self._timeout_s = ca_file, timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def connect(self) -> None:
        """Connect, without a request."""
        self.close()
        try:
            if self._encrypted:
                trusted = ssl.create_default_context(cafile=self._ca_file)
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_s, context=trusted
                )
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
            self._connection.connect()
        except (OSError, ValueError) as error:
            self.close()
            raise DeliveryError(f"{self._server} cannot be reached: {error}") from error

    def send(self, messages: Sequence[Message]) -> None:
        """Post all messages in one request, one per line."""
        body = "".join(f"{message.text}\n" for message in messages).encode()
        try:
            try:
                status = self._post(body)
            except _CLOSED_MEANWHILE:
                self.connect()
                status = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise DeliveryError(f"{self._server} does not answer: {type(error).__name__}: {error}") from error
        if not 200 <= status < 300:
            raise DeliveryError(f"{self._server} answers {status}")

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, body: bytes) -> int:
        if self._connection is None:
            self.connect()
        assert self._connection is not None
        self._connection.request("POST", self._target, body, self._headers)
        answer = self._connection.getresponse()
        answer.read(_MOST_ANSWER_BYTES)
        if not answer.isclosed():
            self.close()
        return answer.status

    @property
    def _server(self) -> str:
        return f"webhook {self._host}"
