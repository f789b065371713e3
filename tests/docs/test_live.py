"""What docs/live.md shows is executed, with made-up models."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from pipeline.cli import main
from pipeline.config.config import Config, load_config
from pipeline.core.models import Models
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.redaction import Redactor
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.live.cameras.camera_plans import camera_plans
from pipeline.live.telling.status import CameraState
from tests.helpers.factories import limits_of
from tests.helpers.live.fakes import one_look, one_person
from tests.helpers.live.rtsp_server import reason_to_skip

DOC = (PROJECT_ROOT / "docs" / "live.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", DOC, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of the page."""
    monkeypatch.setenv("CAM_PASSWORD", "p@ss/word")
    path = tmp_path / "site.yaml"
    path.write_text(block("yaml"), encoding="utf-8")
    return path


def test_the_configuration_can_be_watched(site: Path) -> None:
    config = load_config(site)
    assert [plan.name for plan in camera_plans(config, simulate_live=False, redact=Redactor())] == [
        "entrance",
        "hall",
    ]
    assert {camera.password.get_secret_value() for camera in config.cameras if camera.password} == {"p@ss/word"}
    assert set(yaml.safe_load(site.read_text())) == {"cameras", "linker", "live"}


def test_the_settings_for_a_cpu_are_ones() -> None:
    (found,) = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(tracker:.*?)^```", DOC, re.M | re.S)]
    assert load_config(overrides=found).tracker.embedding_interval_s == 2


def test_the_commands_run(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build_live(config: Config) -> tuple[Models, MatchLimits]:
        return Models(one_person(), one_look(), {}), limits_of(config)

    monkeypatch.setattr("pipeline.commands.live.build_live", build_live)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(PROJECT_ROOT / "configs")
    lines = [line for line in block("bash").splitlines() if line.startswith("mtmc")]
    assert len(lines) == 3
    for line in lines:
        command = shlex.split(line, comments=True)[1:]
        if "--report" in command:  # measured in a test of its own
            continue
        with pytest.raises(SystemExit) as stop:
            main([*command, "--duration", "1"])
        assert stop.value.code in (None, 0), line
    for folder in ("site", "rehearsal"):
        assert list((tmp_path / folder).glob("manifest-*.json"))


def test_every_state_and_every_cause_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", DOC))
    assert {state.value for state in CameraState} <= explained
    code = "".join(path.read_text() for path in (PROJECT_ROOT / "pipeline" / "live").glob("*.py"))
    assert set(re.findall(r'dropped\([^()]*"(\w+)"\)', code)) <= explained


def test_the_page_is_shown_and_the_metrics_are_those_of_the_list_it_links_to() -> None:
    outputs = (PROJECT_ROOT / "docs" / "live_outputs.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!http)([^)#]+)", DOC)
    assert {"images/live_page.png", "live_outputs.md"} <= set(targets)
    assert [target for target in targets if not (PROJECT_ROOT / "docs" / target).exists()] == []
    named = set(re.findall(r"`(mtmc_\w+)`", DOC))
    assert len(named) >= 6
    assert named <= set(re.findall(r"`(mtmc_\w+)`", outputs))


def test_a_missing_server_is_a_failure_where_the_tests_of_faults_must_run() -> None:
    assert reason_to_skip("no server", {}) == "no server"
    assert reason_to_skip(None, {"MTMC_TEST_RTSP": "required"}) is None
    with pytest.raises(RuntimeError, match="no server"):
        reason_to_skip("no server", {"MTMC_TEST_RTSP": "required"})
    assert "MTMC_TEST_RTSP=required" in (PROJECT_ROOT / ".ci" / "run").read_text()


def table_of_faults() -> dict[str, set[str]]:
    """By fault: the names of its tests, and what was measured is not left open."""
    lines = [
        line for line in DOC.split("## What happens when something fails")[1].splitlines() if "| `test_" in line
    ]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == 4 and all(row) for row in cells)
    return {fault: set(re.findall(r"`(test_\w+)`", tests)) for fault, _, _, tests in cells}


def written_tests() -> dict[str, bool]:
    """The tests of this folder, and whether each is marked as one of faults."""
    found = {}
    for path in sorted((PROJECT_ROOT / "tests" / "pipeline" / "live").rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        settings = [ast.unparse(node) for node in module.body if isinstance(node, ast.Assign)]
        whole_file = any(text.startswith("pytestmark = ") and "mark.faults" in text for text in settings)
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = " ".join(map(ast.unparse, node.decorator_list))
                found[node.name] = whole_file or "mark.faults" in marks
    return found


def test_every_fault_of_the_table_has_a_test_and_every_test_of_a_fault_is_in_the_table() -> None:
    table, written = table_of_faults(), written_tests()
    assert len(table) >= 20
    named = set().union(*table.values())
    assert named - written.keys() == set()
    assert {name for name, of_faults in written.items() if of_faults} - named == set()
