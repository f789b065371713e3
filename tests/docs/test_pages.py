"""Pages that are read first: the program takes their commands, their settings exist, their examples run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import mtmc
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import app
from pipeline.config import load_config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.yaml_file import merge
from pipeline.recorded.save_detections import DetectionSaver
from tests.helpers.simulated_run import SimulatedRun

DOCS = PROJECT_ROOT / "docs"
PAGES = ("tutorial.md", "installing.md", "troubleshooting.md")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("mtmc ")]


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page: str) -> None:
    found = commands(page)
    assert found or page != "tutorial.md"
    for _, name, *arguments in found:
        command: Any = get_command(app).commands[name]  # type: ignore[attr-defined]
        if name in ("reid", "detectors"):
            group = command.make_context(name, list(arguments)).command
            name, *arguments = arguments
            command = group.commands[name]
        command.make_context(name, list(arguments))


def test_settings_of_the_tutorial_are_ones() -> None:
    cameras, site = (yaml.safe_load(block) for block in blocks("tutorial.md", "yaml"))
    config = load_config(overrides=merge(cameras, site))
    assert [camera.name for camera in config.cameras] == ["entrance", "hall"]
    assert config.embedder.site == "site.safetensors"


def test_every_name_of_the_interface_is_on_its_page_and_the_other_way_round() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    described = set()
    for target, options in re.findall(r"^::: ([\w.]+)\n((?:    .*\n)*)", text, re.MULTILINE):
        members = re.search(r"members: \[(.*)\]", options)
        if members is not None:
            described |= {name.strip() for name in members[1].split(",")}
        elif target == "pipeline.core.errors":
            described |= {"InputError", "RunError"}
        else:
            described.add(target.rsplit(".", 1)[1])
    assert described == set(mtmc.__all__)


def test_the_messages_that_a_page_explains_are_printed() -> None:
    table = (DOCS / "troubleshooting.md").read_text(encoding="utf-8").split("## Errors and warnings")[1]
    messages = re.findall(r"^\| (`+)(.+?)\1 \|", table, re.MULTILINE)
    assert len(messages) == 6
    rooms = ("pipeline", "reid", "detectors")
    code = "".join(
        path.read_text(encoding="utf-8") for room in rooms for path in (PROJECT_ROOT / room).rglob("*.py")
    )
    flat = " ".join(re.sub(r'"\n\s*f?"', "", code).split())
    for _, message in messages:
        for part in re.split(r"libGL\.so\.1|mtmc track|tracklets\.arrow", message):
            assert part.strip(" `") in flat, message


def test_every_setting_that_a_page_names_exists() -> None:
    config = load_config()
    named = set()
    for page in sorted(DOCS.glob("*.md")):
        for section, key in re.findall(
            r"`(detector|embedder|tracker|linker|second_pass|output|runtime)\.([a-z_]+)",
            page.read_text(encoding="utf-8"),
        ):
            named.add((page.name, section, key))
    missing = [one for one in named if not hasattr(getattr(config, one[1]), one[2])]
    assert missing == []
    assert len(named) > 30


def test_the_files_of_a_run_are_as_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    world = SimulatedWorld(cameras=1)
    (tmp_path / "hall").mkdir()
    simulated = SimulatedRun(world, 60, settings={"output": {"save_embeddings": True}})
    with DetectionSaver(
        tmp_path, simulated.sources, simulated.models.detector, simulated.models.embedder
    ) as saver:
        simulated.into(tmp_path, save_tick=saver.save)
    (tmp_path / "detections" / "cam1.parquet").rename(tmp_path / "detections" / "hall.parquet")
    detections, tracklets = blocks("files.md", "python")
    text = (DOCS / "files.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    exec(compile(detections, "files.md", "exec"), names)
    table, info = names["table"], names["info"]
    columns = set(re.findall(r"`(\w+)`", text.split("## tracklets.arrow")[0]))
    assert set(table.column_names) <= columns  # type: ignore[attr-defined]
    assert set(info) <= columns  # type: ignore[call-overload]
    exec(compile(tracklets, "files.md", "exec"), names)
    described = set(re.findall(r"`(\w+)`", text.split("## tracklets.arrow")[1]))
    assert set(names["track"]) <= described  # type: ignore[call-overload]


def test_the_compose_file_and_the_image_name_what_is_there() -> None:
    compose = yaml.safe_load((PROJECT_ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    live = compose["services"]["mtmc"]
    assert (PROJECT_ROOT / "deploy" / live["build"]["context"] / "Dockerfile").is_file()
    assert live["command"][0] in get_command(app).commands  # type: ignore[union-attr]
    assert set(live["depends_on"]) < set(compose["services"])
    dockerfile = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"--editable '\.\[([\w,]+)\]'", dockerfile)
    project = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in extras.split(","):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    assert live["environment"] == ["CAMERA_PASSWORD"]
    assert set(live["build"]["args"]) <= set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))


def test_a_citation_has_the_version_of_the_program() -> None:
    citation = yaml.safe_load((PROJECT_ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{citation["version"]}"' in project
    assert f"## {citation['version']}" in (PROJECT_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
