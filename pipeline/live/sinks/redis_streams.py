"""Sends messages to Redis Streams: each is an entry of a stream, with the fields kind and json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.live.sinks.transport import DeliveryError, Message


class RedisTransport:
    """Appends to one stream, which keeps about its last `max_entries` entries.

    Args:
        password: None or '' for none; it appears in no error.
        timeout_s: limit in s for connecting, and for each answer.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        stream: str,
        max_entries: int,
        database: int = 0,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self._server = f"Redis {host}:{port}"
        self._stream, self._max_entries = stream, max_entries
        self._client = redis.Redis(
            host=host,
            port=port,
            db=database,
            username=username,
            password=password or None,
            ssl=tls,
            ssl_ca_certs=ca_file,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),  # the caller retries
        )

    def connect(self) -> None:
        """Check that the server answers and accepts the login."""
        try:
            self._client.ping()
        except redis.RedisError as error:
            raise DeliveryError(f"{self._server} cannot be used: {error}") from error

    def send(self, messages: Sequence[Message]) -> None:
        """Add all entries in one transaction: after an error on the server, none of them is there."""
        try:
            with self._client.pipeline(transaction=True) as batch:
                for message in messages:
                    fields: dict[Any, Any] = {"kind": message.kind, "json": message.text}
                    batch.xadd(self._stream, fields, maxlen=self._max_entries, approximate=True)
                batch.execute()
        except redis.RedisError as error:
            raise DeliveryError(f"{self._server} does not accept entries: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
