"""Settings of the outputs of a live run besides its CSV; configs/default.yaml has the units."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from pipeline.core.errors import InputError
from pipeline.core.section import Count, Positive, Section
from pipeline.core.small_file import read_small_file

Port = Annotated[int, Field(ge=1, le=65535)]
_SHORTEST_TOKEN = 16


class JsonLinesSink(Section):
    """Rows and corrections as JSON lines in a file, or on standard output."""

    type: Literal["json_lines"]
    path: str


class _Login(Section):
    """The login at a server, and how to reach it."""

    username: str | None = None
    password: SecretStr | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None
    timeout_s: Positive = 5.0

    @model_validator(mode="after")
    def _one_password(self) -> _Login:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        return self

    @property
    def secret(self) -> str | None:
        """The password, read from the file if one is named; InputError if the file cannot be read."""
        return read_secret(self.password, self.password_file)


class _Server(_Login):
    """One server."""

    host: str
    port: Port

    @property
    def address(self) -> str:
        """Host and port, which may be shown."""
        return f"{self.host}:{self.port}"


class MqttSink(_Server):
    """A topic tree of an MQTT broker."""

    type: Literal["mqtt"]
    port: Port = 1883
    topic: Annotated[str, Field(pattern=r"^[^#+\s]+$")] = "mtmc"
    home_assistant: Annotated[str, Field(pattern=r"^[^#+\s]+$")] | None = None
    occupancy_hold_s: Positive = 5.0


class RedisSink(_Server):
    """A stream of a Redis server."""

    type: Literal["redis"]
    port: Port = 6379
    database: Annotated[int, Field(ge=0)] = 0
    stream: str = "mtmc"
    max_entries: Count = 100_000


_HostAndPort = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/@,\[\]]+):[0-9]{1,5}$")]


class KafkaSink(_Login):
    """A topic of a Kafka cluster."""

    type: Literal["kafka"]
    servers: Annotated[list[_HostAndPort], Field(min_length=1)]
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")] = "mtmc"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"

    @model_validator(mode="after")
    def _whole_login(self) -> KafkaSink:
        if (self.username is None) != (self.password is None and self.password_file is None):
            raise ValueError("username and password (or password_file) go together")
        for server in self.servers:
            if not 1 <= int(server.rpartition(":")[2]) <= 65535:
                raise ValueError(f"the port of {server} must be 1 to 65535")
        return self

    @property
    def address(self) -> str:
        """Hosts and ports, which may be shown."""
        return ",".join(self.servers)


class WebhookSink(Section):
    """An HTTP address that rows and corrections are posted to."""

    type: Literal["webhook"]
    url: SecretStr
    token: SecretStr | None = None
    token_file: str | None = None
    ca_file: str | None = None
    timeout_s: Positive = 5.0

    @model_validator(mode="after")
    def _usable(self) -> WebhookSink:
        if self.token is not None and self.token_file is not None:
            raise ValueError("give token or token_file, not both")
        try:
            address = urlsplit(self.url.get_secret_value())
            usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"[^!-~]", self.url.get_secret_value()):
            raise ValueError("url must be like https://host.example/path, in ASCII and without blanks")
        if address.username is not None or address.password is not None:
            raise ValueError("url must not hold a login: give token or token_file")
        return self

    @property
    def host(self) -> str:
        """Host of the address, which may be shown."""
        return urlsplit(self.url.get_secret_value()).hostname or ""

    @property
    def address(self) -> str:
        """Host and port, which may be shown."""
        url = urlsplit(self.url.get_secret_value())
        return f"{self.host}:{url.port or (443 if url.scheme == 'https' else 80)}"

    @property
    def secret(self) -> str | None:
        """The token, read from the file if one is named; InputError if it cannot be read or sent."""
        token = read_secret(self.token, self.token_file)
        if token is not None and re.search(r"[^ -~]", token):
            raise InputError("the token of a sink of type webhook must be ASCII text on one line")
        return token

    @property
    def secrets(self) -> list[str]:
        """The token, and the path of the address, in which many services have a key."""
        address = urlsplit(self.url.get_secret_value())
        path = address.path.strip("/") + (f"?{address.query}" if address.query else "")
        return [text for text in (self.secret, path) if text]


SinkSettings = Annotated[
    JsonLinesSink | MqttSink | RedisSink | KafkaSink | WebhookSink, Field(discriminator="type")
]


class WebSettings(Section):
    """Settings of the web page, the metrics and the health checks."""

    enabled: bool
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    token: SecretStr | None
    token_file: str | None
    local_users: Literal["own", "all"]
    allowed_hosts: list[str]
    tls_certificate: str | None
    tls_key: str | None
    preview: Literal["off", "blurred", "clear"]
    preview_width_px: Annotated[int, Field(ge=64)]
    timeline_minutes: Positive
    timeline_max_visits: Count
    search: bool

    @model_validator(mode="after")
    def _guarded(self) -> WebSettings:
        if self.token is not None and self.token_file is not None:
            raise ValueError("give token or token_file, not both")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.enabled and not self.is_local and self.token is None and self.token_file is None:
            raise ValueError(
                f"host {self.host} can be reached by others, so the page needs a token: set token or token_file "
                "(`python -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one), or host to 127.0.0.1"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def secret(self) -> str | None:
        """The token, read from the file if one is named; InputError if it cannot be read or is too short."""
        token = read_secret(self.token, self.token_file)
        if token is not None and (len(token) < _SHORTEST_TOKEN or not token.isascii()):
            raise InputError(
                f"the token of live.web must have at least {_SHORTEST_TOKEN} characters, all ASCII; this one has "
                f"{len(token)}. `python -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one"
            )
        return token


class RetentionSettings(Section):
    """How long and how much of the output is kept."""

    max_age_days: Positive | None
    max_bytes: Annotated[int, Field(ge=1_000_000)] | None
    check_interval_s: Positive


# A video that is named by mistake is not read into memory.
_LARGEST_SECRET_FILE_BYTES = 100_000


def read_secret(value: SecretStr | None, file: str | None) -> str | None:
    """Return a secret from the configuration or from the first line of a file; None if there is neither.

    Raises:
        InputError: the file cannot be read, or its first line is empty.
    """
    if file is None:
        return None if value is None else value.get_secret_value()
    try:
        content = read_small_file(Path(file), _LARGEST_SECRET_FILE_BYTES + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise InputError(f"{file} cannot be read ({reason})") from error
    if len(content) > _LARGEST_SECRET_FILE_BYTES:
        raise InputError(
            f"{file} has more than {_LARGEST_SECRET_FILE_BYTES} bytes, so it is no file with a secret"
        )
    if not lines or not lines[0].strip():
        raise InputError(f"{file}: its first line must be the secret, but it is empty")
    return lines[0].strip()
