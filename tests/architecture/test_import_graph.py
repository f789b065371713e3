"""Imports go one way, and the tracker can be used without the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.import_graph import FLOORS, ROOT, imports, is_allowed, mermaid


def test_no_import_runs_up() -> None:
    assert [one.place for one in imports() if not is_allowed(one.room, one.imported)] == []


def test_every_room_has_a_floor() -> None:
    names = {name for names in FLOORS for name in names}
    rooms = {
        path.stem for path in (ROOT / "pipeline").iterdir() if path.suffix != ".typed" and path.name[0] != "_"
    }
    assert rooms | {"reid", "detectors", "demo", "mtmc"} == names


@pytest.mark.parametrize(
    ("room", "imported", "allowed"),
    [
        ("single_camera", "core", True),
        ("core", "single_camera", False),
        ("single_camera", "files", False),
        ("reid", "files", True),
        ("reid", "config", False),
        ("association", "reid", False),
        ("assembly", "reid", True),
        ("commands", "reid", True),
    ],
)
def test_the_rule(room: str, imported: str, allowed: bool) -> None:
    assert is_allowed(room, imported) == allowed


def test_the_graph_is_drawn() -> None:
    assert "    association -->|" in mermaid()


@pytest.mark.parametrize("module", ["pipeline.single_camera.tracker", "pipeline.cross_camera.online_linker"])
def test_tracker_and_linker_load_no_network_library_and_no_settings_of_others(module: str) -> None:
    code = (
        f"import sys, {module}; print([name for name in ('torch', 'openvino', 'cv2', 'av', 'yaml', "
        "'pipeline.config', 'pipeline.live') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
