"""Addresses of live streams, with user and password kept separate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt)://", re.IGNORECASE)
_DEVICE = re.compile(r"/dev/video\d+")
# Some cameras take user and password as parameters, even without a '?': rtsp://host/user=a&password=b.
_LOGIN_PARAMETER = re.compile(
    r"(?<=[?&;/])((?:user(?:name)?|usr|login|pass(?:word|wd)?|pwd|psw|token|access_token|api_?key)=)"
    r"[^&;\s'\"<>]+",
    re.IGNORECASE,
)
# With a port and the begin of a path; a zone such as %25eth0 may follow the address.
_IPV6_HOST = re.compile(r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.~%-]+)?\](:\d+)?([/?#]|$)")
HIDDEN = "***"


def is_stream(source: str) -> bool:
    """Return whether a camera's source is a live stream: a URL, or a USB camera such as /dev/video0."""
    return bool(_STREAM.match(source) or _DEVICE.fullmatch(source))


def is_device(source: str) -> bool:
    """Return whether the source is a USB camera."""
    return bool(_DEVICE.fullmatch(source))


def hide_login(text: str) -> str:
    """Return a URL, or any text, with the values of parameters such as user=, password= and token= hidden."""
    return _LOGIN_PARAMETER.sub(rf"\1{HIDDEN}", text)


@dataclass(frozen=True)
class StreamAddress:
    """A URL without its user and password, which are separate.

    Attributes:
        url: show it only after `hide_login`, because its parameters may hold another login.
        username, password: as the camera expects them, not percent-encoded.
    """

    url: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> StreamAddress:
        """Split a URL into its parts.

        Passwords are often pasted without percent-encoding and contain '@', '/', '#' or ':'. The login ends at the
        last '@' before the first '/'. If there is none, it ends at the last '@', unless the text begins with a
        possible host. An address that begins with an IPv6 host has no login.

        The scheme is written in lower case, because FFmpeg knows no other.
        """
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(text)
        scheme = scheme.lower() if is_stream(text) else scheme
        if re.match(_IPV6_HOST, rest):
            return cls(f"{scheme}://{rest}")
        authority = re.match(r"[^/]*@(?=[^@/])", rest)
        if authority is None and not re.match(r"[^@/:?#]+(:\d+)?([/?#]|$)", rest):
            authority = re.match(r".*@(?=[^@/])", rest)
        if authority is None:
            return cls(f"{scheme}://{rest}")
        user, colon, password = authority[0][:-1].partition(":")
        url = f"{scheme}://{rest[authority.end() :]}"
        return cls(url, unquote(user), unquote(password) if colon else None)

    def with_credentials(self) -> str:
        """Return the URL with its login, for the decoder; it is secret."""
        if self.username is None:
            return self.url
        scheme, _, rest = self.url.partition("://")
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{scheme}://{quote(self.username, safe='')}{password}@{rest}"
