"""The commands of docs/detector.md are ones that the programs take."""

from __future__ import annotations

import re

import pytest

import demo.__main__
import pipeline.commands.detectors.app
from pipeline.core.paths import PROJECT_ROOT
from tests.helpers.doc_commands import parsed

TEXT = (PROJECT_ROOT / "docs" / "detector.md").read_text()
COMMANDS = re.findall(r"^(?:python -m|mtmc) (demo|detectors) ((?:[^\\\n]|\\\n)*)$", TEXT, re.MULTILINE)
APPS = {"demo": demo.__main__.app, "detectors": pipeline.commands.detectors.app.app}


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_commands_parse(program: str, command: str) -> None:
    _, arguments = parsed(APPS[program], command)
    assert any(argument.startswith("--") for argument in arguments)


def test_every_command_is_there() -> None:
    assert {name.split()[0] for _, name in COMMANDS} >= {
        "dataset",
        "pseudo-label",
        "train",
        "evaluate",
        "training-set",
    }
