"""The commands of docs/reid_training.md are ones that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from reid.cli import app
from reid.datasets import LAYOUTS
from reid.training.config import load_training_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reid_training.md").read_text()
COMMANDS = re.findall(r"^(?:python|torchrun .*?) -m reid (.*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse_and_their_configurations_exist(command: str) -> None:
    name, *arguments = shlex.split(command)
    group: Any = typer.main.get_command(app)
    context = group.commands[name].make_context(name, arguments)
    load_training_config(ROOT / context.params["config"])


def test_every_layout_is_described() -> None:
    assert len(COMMANDS) == 2
    assert [name for name in LAYOUTS if f"`{name}`" not in TEXT] == []
