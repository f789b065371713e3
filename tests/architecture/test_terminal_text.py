"""Names of users can hold any character, so nothing that is printed is taken for markup."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.import_graph import ROOT


def consoles() -> Iterator[tuple[str, ast.Call]]:
    for package in ("pipeline", "reid", "detectors", "demo", "mtmc"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console":
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_no_console_takes_square_brackets_for_markup() -> None:
    found = list(consoles())
    assert len(found) > 20
    with_markup = [
        place
        for place, call in found
        if not any(
            one.arg == "markup" and isinstance(one.value, ast.Constant) and one.value.value is False
            for one in call.keywords
        )
    ]
    assert with_markup == []
