"""Which room of the program imports which: `python -m tests.architecture.import_graph` prints it as a Mermaid diagram.

A room is a folder or a module of `pipeline/`, or one of the packages `reid`, `detectors`, `demo` and `mtmc`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

#: From the ground to the roof: a room imports from the floors below its own, and from no other room of its floor.
FLOORS = (
    ("core",),
    ("files", "sources", "single_camera"),
    ("cross_camera", "counting", "scoring", "drawing", "reid", "detectors", "demo"),
    ("config",),
    ("floor",),
    ("association",),
    ("assembly", "live"),
    ("stored", "review"),
    ("recorded", "privacy", "homography_page"),
    ("search",),
    ("benchmark", "report", "conversion"),
    ("view",),
    ("commands",),
    ("cli",),
    ("mtmc",),
)
#: They could be used without the rest of the program, and see nothing else of it.
_GROUND = {"core", "files", "sources"}
LIBRARIES = {"reid": _GROUND, "detectors": _GROUND, "demo": _GROUND | {"detectors"}}
#: Only here and above are models built.
_FIRST_WITH_MODELS = "assembly"


class Import(NamedTuple):
    """A line that imports from another room."""

    room: str
    imported: str
    place: str


def imports() -> Iterator[Import]:
    """All imports between rooms, also those inside functions; `__main__` modules only hand over to the commands."""
    for package in ("pipeline", "reid", "detectors", "demo", "mtmc"):
        for path in sorted((ROOT / package).rglob("*.py")):
            relative = path.relative_to(ROOT)
            room = _room(".".join(relative.with_suffix("").parts))
            if room is None or path.name == "__main__.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for module in _modules(node):
                    imported = _room(module)
                    if imported not in (None, room):
                        yield Import(room, str(imported), f"{relative}:{getattr(node, 'lineno', 0)}: {module}")


def is_allowed(room: str, imported: str) -> bool:
    """Whether `room` may import from `imported`."""
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    if room in LIBRARIES:
        return imported in LIBRARIES[room]
    if imported in LIBRARIES and floor[room] < floor[_FIRST_WITH_MODELS]:
        return False
    return floor[imported] < floor[room]


def mermaid() -> str:
    """The rooms and the number of imports between them."""
    lines = Counter((one.room, one.imported) for one in imports())
    arrows = [f"    {room} -->|{count}| {imported}" for (room, imported), count in sorted(lines.items())]
    return "\n".join(["graph TD", *arrows])


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return (
            [f"{node.module}.{name.name}" for name in node.names] if node.module == "pipeline" else [node.module]
        )
    return []


def _room(module: str) -> str | None:
    package, _, rest = module.partition(".")
    if package in ("reid", "detectors", "demo", "mtmc"):
        return package
    return rest.split(".")[0] if package == "pipeline" and rest and rest != "__init__" else None


if __name__ == "__main__":
    print(mermaid())
