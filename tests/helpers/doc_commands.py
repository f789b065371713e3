"""Commands in the documentation, as the programs read them."""

from __future__ import annotations

import shlex
from typing import Any

import typer


def parsed(app: typer.Typer, command: str) -> tuple[typer.Context, list[str]]:
    """What a program takes from a command of its, lines joined at their backslashes; and the arguments as they stand.

    Raises:
        click.UsageError: an option is unknown or missing.
    """
    name, *arguments = shlex.split(command.replace("\\\n", " "))
    group: Any = typer.main.get_command(app)
    return group.commands[name].make_context(name, list(arguments)), arguments
