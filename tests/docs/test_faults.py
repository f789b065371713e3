"""The page of faults: every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line
    for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| fault ")
]


def _names(path: Path) -> set[str]:
    """Names of the tests of a file; those in classes also as CLASS::NAME."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
            found.add(node.name)
    return found


def test_there_are_many() -> None:
    assert len(ROWS) > 100


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_the_tests_of_a_fault_exist(row: str) -> None:
    cells = [cell.strip() for cell in row.strip().strip("|").split(" | ")]
    assert len(cells) == 3, row
    places = re.findall(r"`(tests/[\w/]+\.py)(?:::([\w:]+))?[^`]*`", cells[2])
    assert places, cells[2]
    assert len(places) == len(re.findall(r"`[^`]+`", cells[2])), f"a test without its file: {cells[2]}"
    for file, name in places:
        assert (ROOT / file).is_file(), file
        if name:
            assert name in _names(ROOT / file), f"{file}::{name}"
