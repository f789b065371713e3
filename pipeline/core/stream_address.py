"""Addresses of live streams, with user and password kept separate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt)://", re.IGNORECASE)
_DEVICE = re.compile(r"/dev/video\d+")
# Some cameras take user and password as parameters, even without a '?': rtsp://host/user=a&password=b.
_SECRET_NAMES = (
    "user|username|usr|login|pass|password|passwd|passphrase|pwd|psw|pw|token|api_?key|key|secret|sig|signature|auth|"
    "auth_?code|authorization|session|session_?id|sid|ticket|credential|credentials|jwt|hmac|streamid|code|pin"
)
# Also with a prefix, as in access_token or X-Amz-Signature.
_LOGIN_PARAMETER = re.compile(rf"(?<=[?&;/])((?:[\w.-]*[_.-])?(?:{_SECRET_NAMES})=)[^&;\s'\"<>]+", re.IGNORECASE)
# The last part of the path of a publishing address, and any part that no person would have chosen as a name: an id of
# hexadecimal digits, groups as in abcd-1234-efgh-5678, or letters of both cases mixed with digits.
_KEY = (
    r"(?:[0-9a-fA-F]{8}-[0-9a-fA-F-]{23,}|(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{16,}"
    r"|[a-zA-Z0-9]{4}(?:-[a-zA-Z0-9]{4}){3,}"
    r"|(?=[a-zA-Z]*\d)(?=[A-Z0-9]*[a-z])(?=[a-z0-9]*[A-Z])[a-zA-Z0-9]{12,})"
)
_KEY_IN_PATH = re.compile(rf"(?<=/){_KEY}(?=[/?#\s'\"<>]|$)")
_URL = re.compile(r"\b(?:rtsps?|rtmps?|https?|srt)://[^\s'\"<>]+", re.IGNORECASE)
_PUBLISHED_KEY = re.compile(r"(?<=[^/:]/)(?=[^/?#]*\d)[^/?#]{8,}(?=([?#].*)?$)")
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
    """Return a URL, or any text, with secrets in it hidden: the values of parameters such as user=, password=, token=
    and sig=, and keys in the paths of URLs."""
    return _URL.sub(lambda found: _hide_key(found[0]), _LOGIN_PARAMETER.sub(rf"\1{HIDDEN}", text))


def _hide_key(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = _KEY_IN_PATH.sub(HIDDEN, slash + path)
    if scheme.lower() in ("rtmp", "rtmps"):
        path = _PUBLISHED_KEY.sub(HIDDEN, path)
    return f"{scheme}://{host}{path}"


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
