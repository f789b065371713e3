"""A sink that sends rows and corrections as JSON messages through any transport."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.counting.events import Event
from pipeline.live.sinks.messages import event_message, remap_message, row_message
from pipeline.live.sinks.transport import Message, Transport


class JsonSink:
    """Connects when there is something to send, and again after every failure.

    Args:
        name: for logs and status, without secrets.
        run_id: part of every message.
    """

    def __init__(self, name: str, transport: Transport, run_id: str) -> None:
        self._name = name
        self._transport = transport
        self._run_id = run_id
        self._connected = False

    @property
    def name(self) -> str:
        """Type and address of the sink."""
        return self._name

    def open(self) -> None:
        """Connect now instead of with the first rows; raises DeliveryError if that fails."""
        self._send([])

    def write(self, rows: Sequence[LinkedRow]) -> None:
        """Send one message per row.

        Raises:
            DeliveryError: the receiver does not have all messages; some may arrive twice when they are sent again.
        """
        self._send([row_message(linked, self._run_id) for linked in rows])

    def remap(self, corrections: Sequence[Correction]) -> None:
        """Send one message per correction; errors as in `write`."""
        self._send([remap_message(correction, self._run_id) for correction in corrections])

    def events(self, events: Sequence[Event]) -> None:
        """Send one message per event; errors as in `write`."""
        self._send([event_message(event, self._run_id) for event in events])

    def flush(self) -> None:
        """Do nothing: every call returns when its messages are delivered."""

    def close(self) -> None:
        """Close the connection."""
        self._connected = False
        self._transport.close()

    def _on_connect(self) -> None:
        """Send what the receiver needs after each connection; the base class sends nothing."""

    def _send(self, messages: Sequence[Message]) -> None:
        try:
            if not self._connected:
                self._transport.connect()
                self._connected = True
                self._on_connect()
            if messages:
                self._transport.send(messages)
        except BaseException:
            self.close()
            raise
