"""The commands of docs/detector.md are ones that the programs take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import demo.__main__
import detectors.cli

TEXT = (Path(__file__).parents[2] / "docs" / "detector.md").read_text()
COMMANDS = re.findall(r"^python -m (demo|detectors) ((?:[^\\\n]|\\\n)*)$", TEXT, re.MULTILINE)
APPS = {"demo": demo.__main__.app, "detectors": detectors.cli.app}


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_commands_parse(program: str, command: str) -> None:
    name, *arguments = shlex.split(command.replace("\\\n", " "))
    group: Any = typer.main.get_command(APPS[program])
    group.commands[name].make_context(name, list(arguments))  # raises on an unknown option or a missing one
    assert any(argument.startswith("--") for argument in arguments)


def test_every_command_is_there() -> None:
    assert {name.split()[0] for _, name in COMMANDS} >= {
        "dataset",
        "pseudo-label",
        "train",
        "evaluate",
        "training-set",
    }
