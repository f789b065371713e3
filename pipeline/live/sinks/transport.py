"""What a sink needs of the system behind it: connect, send whole messages, close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class DeliveryError(Exception):
    """The receiver did not take the messages; the text holds no secret and may be shown."""


@dataclass(frozen=True)
class Message:
    """One JSON text on its way.

    Attributes:
        kind: row or remap.
        camera_id: of a row; None for a remap, which concerns all cameras.
        text: one line of JSON without its line end.
    """

    kind: str
    camera_id: str | None
    text: str


class Transport(Protocol):
    """Used by one thread only. Every call may block for a few seconds, but not without limit."""

    def connect(self) -> None:
        """Be ready to send; called again after each DeliveryError.

        Raises:
            DeliveryError: the receiver cannot be reached or refuses.
        """

    def send(self, messages: Sequence[Message]) -> None:
        """Return when the receiver has all messages; after an error the same messages are sent again.

        Raises:
            DeliveryError: it does not have them all.
        """

    def close(self) -> None:
        """Give up the connection; no error if there is none."""
