"""The commands and the program of docs/export.md are ones that can be run."""

from __future__ import annotations

import ast
import re
from importlib import import_module

import pytest

import pipeline.commands.detectors.app
import pipeline.commands.reid.app
from pipeline.core.paths import PROJECT_ROOT
from tests.helpers.doc_commands import parsed

TEXT = (PROJECT_ROOT / "docs" / "export.md").read_text()
COMMANDS = re.findall(r"^    mtmc (reid|detectors) ((?:[^\\\n]|\\\n)*)$", TEXT, re.MULTILINE)
APPS = {"reid": pipeline.commands.reid.app.app, "detectors": pipeline.commands.detectors.app.app}


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_commands_parse(program: str, command: str) -> None:
    parsed(APPS[program], command)


def test_every_kind_of_row_has_its_command() -> None:
    assert {(program, command.split()[0]) for program, command in COMMANDS} == {
        ("detectors", "dataset"),
        ("detectors", "export"),
        ("detectors", "evaluate"),
        ("reid", "export"),
        ("reid", "evaluate"),
    }


def test_the_program_imports_what_there_is() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom):
            module = import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names)
