"""Names the cause of an error of FFmpeg."""

from __future__ import annotations

import errno
import socket

import av

from pipeline.core.redaction import Redactor
from pipeline.live.cameras.problem import Reason, StreamProblem


def _unresolved(host: str | None) -> str:
    """Return why a host name has no address; empty if it has one."""
    if host is None:
        return ""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"there is no host {host} ({reason}): check the name and the DNS server"
    return ""


def problem_of(error: Exception, redact: Redactor, *, opening: bool, host: str | None = None) -> StreamProblem:
    """Convert an error of FFmpeg to a StreamProblem, whose text contains no secrets and no URL."""
    text = redact(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    if getattr(error, "errno", None) == errno.EPROTONOSUPPORT:
        return StreamProblem(Reason.NETWORK, "the camera offers neither TCP nor UDP for its video")
    # FFmpeg reports an unknown host name as an error of input and output.
    if opening and getattr(error, "errno", None) == errno.EIO and (unresolved := _unresolved(host)):
        return StreamProblem(Reason.NETWORK, unresolved)
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError | PermissionError):
        return StreamProblem(Reason.DENIED, f"access denied ({text}): check username and password")
    if isinstance(error, av.error.HTTPNotFoundError | FileNotFoundError):
        return StreamProblem(Reason.NOT_FOUND, f"there is no such stream ({text}): check the path")
    if isinstance(error, ConnectionRefusedError):
        return StreamProblem(Reason.REFUSED, f"nothing listens there ({text})")
    if isinstance(error, av.error.ExitError | TimeoutError):
        return StreamProblem(Reason.TIMEOUT, "no answer in time" if opening else "no packet in time")
    if isinstance(error, av.error.InvalidDataError):
        # A host that accepts the connection and never answers also ends like this.
        reason = Reason.TIMEOUT if opening else Reason.CODEC
        return StreamProblem(reason, "no video arrived" if opening else f"the video cannot be decoded ({text})")
    if isinstance(error, av.error.DecoderNotFoundError):
        return StreamProblem(Reason.CODEC, f"no decoder for this video ({text})")
    return StreamProblem(Reason.NETWORK, text)
