"""The commands of the pages about training are ones that the programs take, indented ones too."""

from __future__ import annotations

import re

import pytest

import demo.__main__
import pipeline.commands.detectors.app
import pipeline.commands.reid.app
from pipeline.commands.arguments import overrides_of
from pipeline.core.paths import PROJECT_ROOT
from reid.datasets import LAYOUTS
from reid.training.config import load_training_config
from tests.helpers.doc_commands import parsed

ROOT = PROJECT_ROOT
PAGES = (
    "docs/reid_training.md",
    "docs/site.md",
    "weights/person_yolo11n.md",
    "weights/transreid_open.md",
    "weights/transreid_research.md",
)
APPS = {
    "reid": pipeline.commands.reid.app.app,
    "demo": demo.__main__.app,
    "detectors": pipeline.commands.detectors.app.app,
}
# a line goes on after a backslash at its end
COMMAND = re.compile(
    r"^ *(?:python -m |torchrun .*? -m |mtmc )(reid|demo|detectors) ((?:[^\\\n]|\\\n)*)$", re.MULTILINE
)
COMMANDS = [
    pytest.param(program, command, id=f"{page} {number}")
    for page in PAGES
    for number, (program, command) in enumerate(COMMAND.findall((ROOT / page).read_text(encoding="utf-8")), 1)
]


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_commands_parse_and_their_configurations_exist(program: str, command: str) -> None:
    context, _ = parsed(APPS[program], command)
    if (program, context.info_name) == ("reid", "train"):
        load_training_config(ROOT / context.params["config"], overrides_of(context.params["settings"]))


def test_no_command_is_overlooked() -> None:
    """Every mention of a program at the beginning of a line is one of the commands above."""
    lines = [line for page in PAGES for line in (ROOT / page).read_text(encoding="utf-8").splitlines()]
    begun = [line for line in lines if re.match(r" *(python|torchrun|mtmc (reid|detectors)) ", line)]
    assert len(begun) == len(COMMANDS) > 25


def test_every_layout_is_described() -> None:
    text = (ROOT / PAGES[0]).read_text(encoding="utf-8")
    assert [name for name in LAYOUTS if f"`{name}`" not in text] == []
