"""Why a stream fails; the reason decides when the next attempt starts."""

from __future__ import annotations

from enum import StrEnum

from pipeline.core.shown_values import visible


class Reason(StrEnum):
    """Why a connection ended or could not be made; also the label of the counters."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    ENDED = "ended"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    STALLED = "stalled"
    LAGGING = "lagging"
    CODEC = "codec"
    NETWORK = "network"
    RELOAD = "reload"


class StreamProblem(Exception):
    """A stream cannot be opened or read any further.

    Attributes:
        reason: see `Reason`.
        text: description, redacted, without control characters.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = visible(text)  # parts of it may come from a camera
