"""Arguments shared by several commands, and how their text is parsed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.core.yaml_file import parse_yaml

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="YAML file with settings that differ from configs/default.yaml.", metavar="FILE"
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", help="One setting of the configuration, such as tracker.max_lost_s=3.", metavar="KEY=VALUE"
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]


def overrides_of(settings: Sequence[str] | None) -> dict[str, Any]:
    """Return `section.key=value` texts as nested mappings; values are read as YAML.

    Raises:
        InputError: a text is not KEY=VALUE with a YAML value, or sets a key below a key that already has a value.
    """
    overrides: dict[str, Any] = {}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--set {shown(text)}: expected KEY=VALUE, such as tracker.max_lost_s=3")
        parsed = parse_yaml(value, f"--set {shown(key)}")
        *sections, last = key.split(".")
        place = overrides
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"--set {shown(key)}: {section} is already set to a value")
        place[last] = parsed
    return overrides


def camera_files(option: str, texts: Sequence[str] | None) -> dict[str, Path]:
    """Return `cam=FILE` texts as a mapping.

    Raises:
        InputError: a text has another form, a camera is named twice, or a file is missing.
    """
    files = {name: Path(path) for name, path in camera_texts(option, texts, "FILE", "cam1.txt").items()}
    for name, path in files.items():
        if not path.is_file():
            raise InputError(f"{option} {f'{name}={path}'!r}: there is no file {path}")
    return files


def camera_texts(option: str, texts: Sequence[str] | None, value: str, example: str) -> dict[str, str]:
    """Return `cam=PATH` texts as a mapping; a path may begin with ~.

    Args:
        option: name of the option, for the messages.
        texts: what the user wrote.
        value: word for the part after the equals sign.
        example: an example of that part, for camera cam1.

    Raises:
        InputError: a text has another form, or a camera is named twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, rest = text.partition("=")
        if not (name and equals and rest):
            raise InputError(f"{option} {text!r}: expected CAMERA={value}, such as {option} cam1={example}")
        if name in found:
            raise InputError(f"{option}: camera {name!r} is named twice")
        found[name] = os.path.expanduser(rest)  # a shell replaces ~ only at the beginning of an argument
    return found


def has_desktop() -> bool:
    """Return whether a browser would open a window; in a terminal alone, one would take the terminal."""
    desktop = sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return desktop and sys.stdout.isatty()
