"""Arguments shared by several commands, and how their text is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from pipeline.core.errors import InputError

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
    """Return `section.key=value` texts as nested mappings; values are read as YAML."""
    overrides: dict[str, Any] = {}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--set {text!r}: expected KEY=VALUE, such as tracker.max_lost_s=3")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text!r}: the value is not valid YAML") from error
        *sections, last = key.split(".")
        place = overrides
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"--set {text!r}: {section} is already set to a value")
        place[last] = parsed
    return overrides


def camera_files(option: str, texts: Sequence[str] | None) -> dict[str, Path]:
    """Return `cam=FILE` texts as a mapping; raises InputError for another form, a camera named twice or a missing
    file."""
    files: dict[str, Path] = {}
    for text in texts or ():
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise InputError(f"{option} {text!r}: expected CAMERA=FILE, such as {option} cam1=cam1.txt")
        if name in files:
            raise InputError(f"{option}: camera {name!r} is named twice")
        if not Path(path).is_file():
            raise InputError(f"{option} {text!r}: there is no file {path}")
        files[name] = Path(path)
    return files
