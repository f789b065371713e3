"""Reads configuration files: strict YAML, with paths resolved and environment variables filled in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.core.stream_address import StreamAddress, is_stream
from pipeline.core.yaml_file import read_yaml

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SHORTEST_SECRET = 6


def read_config_file(path: Path) -> dict[str, Any]:
    """Read the keys of a configuration file, with all paths resolved and environment variables filled in.

    Raises:
        InputError: the file cannot be read or is not valid YAML, or an environment variable is not set.
    """
    content = read_yaml(path)
    for section, key in (("detector", "weights"), ("embedder", "weights"), ("embedder", "site")):
        part = content.get(section)
        if isinstance(part, dict) and isinstance(part.get(key), str):
            part[key] = resolve_path(part[key], path)
    cameras = content.get("cameras")
    for camera in cameras if isinstance(cameras, list) else ():
        if isinstance(camera, dict):
            _resolve_camera(camera, path)
    live = content.get("live")
    sinks = live.get("sinks") if isinstance(live, dict) else None
    for sink in sinks if isinstance(sinks, list) else ():
        if isinstance(sink, dict):
            _resolve_output(sink, path)
    web = live.get("web") if isinstance(live, dict) else None
    if isinstance(web, dict):
        _resolve_output(web, path)
    return content


def _resolve_camera(camera: dict[str, Any], config: Path) -> None:
    source = camera.get("source")
    if isinstance(source, str) and is_stream(source):
        # Split before variables are filled in: a password from the environment may contain any character.
        address = StreamAddress.parse(source)
        if address.username is not None and camera.get("username") is None and camera.get("password") is None:
            camera |= {"username": address.username, "password": address.password}
            source = address.url
        camera["source"] = fill_in(source, config)
        camera["source_secrets"] = _secrets_in(source)
    elif isinstance(source, str):
        camera["source"] = resolve_path(source, config)
    for key in ("username", "password"):
        if isinstance(camera.get(key), str):
            camera[key] = fill_in(camera[key], config, f"{key} of camera {shown(camera.get('name'))}")
    if isinstance(camera.get("password_file"), str):
        camera["password_file"] = resolve_path(camera["password_file"], config)


def _resolve_output(section: dict[str, Any], config: Path) -> None:
    for key, value in section.items():
        if isinstance(value, str):
            section[key] = fill_in(value, config, key)
    for key in ("path", "password_file", "ca_file", "token_file", "tls_certificate", "tls_key"):
        if isinstance(section.get(key), str) and section[key] != "-":
            section[key] = os.path.normpath(config.resolve().parent / os.path.expanduser(section[key]))


def fill_in(text: str, config: Path, secret_key: str | None = None) -> str:
    """Return `text` with ${NAME} replaced by the environment variable NAME.

    Args:
        config: the file that holds the text, for the message.
        secret_key: the key of a text that may be a secret; it is named instead of the text.

    Raises:
        InputError: a variable is not set.
    """

    def variable(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            what = shown(text) if secret_key is None else secret_key
            raise InputError(f"{config}: {what} needs the environment variable {match[1]}, which is not set")
        return value

    return _VARIABLE.sub(variable, text)


def _secrets_in(address: str) -> list[str]:
    """Return the values that environment variables put into the path and the parameters of a URL.

    The host may be shown. Values that are too short to be a secret are left out, because hiding them would garble every
    text that contains them. Parameters such as password= are hidden by their names in any case.
    """
    host = re.match(r"\w+://[^/?#]*", address)
    rest = address[host.end() :] if host else ""
    values = [os.environ.get(name, "") for name in _VARIABLE.findall(rest)]
    return [value for value in values if len(value) >= _SHORTEST_SECRET]


def resolve_path(text: str, config: Path) -> str:
    """Resolve a path from the file `config`: fill in environment variables and ~, then take it relative to that file's
    folder. A bare name that does not exist there is returned unchanged, and so is an empty text."""
    text = os.path.expanduser(fill_in(text, config))
    if not text:
        return text
    resolved = Path(os.path.normpath(config.resolve().parent / text))
    if Path(text).name == text and not resolved.exists():
        return text
    return str(resolved)
