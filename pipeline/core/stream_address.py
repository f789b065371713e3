"""Addresses of live streams, with user and password kept apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt)://", re.IGNORECASE)
_DEVICE = re.compile(r"/dev/video\d+")
# Cheap cameras want users and passwords among the parameters, also without a '?': rtsp://host/user=a&password=b.
_LOGIN_PARAMETER = re.compile(
    r"(?<=[?&;/])((?:user(?:name)?|usr|login|pass(?:word|wd)?|pwd|psw|token|access_token|api_?key)=)"
    r"[^&;\s'\"<>]+",
    re.IGNORECASE,
)
HIDDEN = "***"


def is_stream(source: str) -> bool:
    """Whether a camera's source is a live stream: a URL, or a USB camera such as /dev/video0."""
    return bool(_STREAM.match(source) or _DEVICE.fullmatch(source))


def is_device(source: str) -> bool:
    """Whether the source is a USB camera."""
    return bool(_DEVICE.fullmatch(source))


def hide_login(text: str) -> str:
    """A URL, or any text, with the values of parameters such as user=, password= and token= hidden."""
    return _LOGIN_PARAMETER.sub(rf"\1{HIDDEN}", text)


@dataclass(frozen=True)
class StreamAddress:
    """A URL in which the user and the password do not stand.

    Attributes:
        url: without them; may be shown after `hide_login`, as its parameters may hold others.
        username, password: as the camera wants them, not percent-encoded.
    """

    url: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> StreamAddress:
        """Cut a URL into its parts.

        Passwords are often pasted without percent-encoding, with '@', '/', '#' or ':' in them. The last '@' before
        the first '/' ends them; if there is none, the last '@' does, unless what stands first can be a host.
        """
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(text)
        authority = re.match(r"[^/]*@(?=[^@/])", rest)
        if authority is None and not re.match(r"[^@/:?#]+(:\d+)?([/?#]|$)", rest):
            authority = re.match(r".*@(?=[^@/])", rest)
        if authority is None:
            return cls(text)
        user, colon, password = authority[0][:-1].partition(":")
        url = f"{scheme}://{rest[authority.end() :]}"
        return cls(url, unquote(user), unquote(password) if colon else None)

    def with_credentials(self) -> str:
        """The URL for the decoder; secret."""
        if self.username is None:
            return self.url
        scheme, _, rest = self.url.partition("://")
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{scheme}://{quote(self.username, safe='')}{password}@{rest}"
