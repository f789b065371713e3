"""What a sink needs from the system behind it: connect, send whole messages, close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class DeliveryError(Exception):
    """The receiver did not accept the messages; the text contains no secret and may be shown."""


@dataclass(frozen=True)
class Message:
    """One JSON message.

    Attributes:
        kind: row, remap or event.
        key: camera of a row or of the track of a remap, zone or line of an event; messages with the same key must stay
            in order.
        text: one line of JSON without its line end.
    """

    kind: str
    key: str
    text: str


class Transport(Protocol):
    """Used by one thread only. Every call may block for a few seconds, but not indefinitely."""

    def connect(self) -> None:
        """Prepare for sending; called again after each DeliveryError.

        Raises:
            DeliveryError: the receiver cannot be reached or refuses.
        """

    def send(self, messages: Sequence[Message]) -> None:
        """Return when the receiver has all messages; after an error the same messages are sent again.

        Raises:
            DeliveryError: the receiver does not have all messages.
        """

    def close(self) -> None:
        """Close the connection; no error if there is none."""
