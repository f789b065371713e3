"""What docs/live_outputs.md and docs/lawful_use.md say is executed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml

from pipeline.cli import main
from pipeline.config.config import load_config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.results_csv import COLUMNS, read_trajectories
from pipeline.files.run_folder import OutputFolder
from pipeline.live.output.segments import row_line
from pipeline.live.sinks.build import sink_makers
from pipeline.live.sinks.messages import SCHEMA_FILE
from pipeline.live.telling.status import SinkStatus
from tests.helpers.live.examples import (
    NOW_S,
    FixedStatus,
    make_camera,
    make_counts,
    make_row,
    make_status,
    watching,
)

PAGE = (PROJECT_ROOT / "docs" / "live_outputs.md").read_text(encoding="utf-8")
LAW = (PROJECT_ROOT / "docs" / "lawful_use.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", [PAGE, LAW], ids=["live_outputs", "lawful_use"])
def test_the_commands_work(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    OutputFolder(Path("site")).close()
    rows = [make_row(17), make_row(18, track_id=2), make_row(19, track_id=3, time_s=NOW_S - 30 * 86_400)]
    segment = Path("site/traj-20260501T100000Z-3f2a-0001.csv")
    segment.write_text(",".join(COLUMNS) + "\n" + "".join(map(row_line, rows)))
    commands = [shlex.split(line, comments=True) for block in blocks(text, "bash") for line in block.splitlines()]
    assert {tuple(command[1:3]) for command in commands} == {("person", "export"), ("person", "purge")}
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
    assert (tmp_path / "for-person-17" / "person-17.json").is_file()
    ids = [linked.link.global_id for linked in read_trajectories(segment)]
    assert ids == ([18] if "--before" in str(commands) else [18, 19])


def test_the_settings_are_ones_that_the_program_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "secret-of-the-broker")
    monkeypatch.setenv("HOOK_TOKEN", "secret-of-the-hook")
    monkeypatch.setenv("MTMC_PAGE_TOKEN", "a-token-of-some-length")
    (tmp_path / "kafka_password").write_text("secret-of-the-cluster")
    for number, block in enumerate(blocks(PAGE, "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        live = load_config(file).live
        written = yaml.safe_load(block)["live"]
        if "sinks" in written:
            assert [name for name, _ in sink_makers(live.sinks, "run")] == [
                f"json_lines {tmp_path}/rows.jsonl",
                "mqtt broker.example:8883",
                "redis redis.example:6379",
                "kafka kafka1.example:9093,kafka2.example:9093",
                "webhook host.example:443",
            ]
        if "token" in written.get("web", {}):
            assert live.web.secret == "a-token-of-some-length"


def test_the_messages_follow_the_schema() -> None:
    schema = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    shown = [json.loads(block) for block in blocks(PAGE, "json")]
    assert [message["kind"] for message in shown] == ["row", "remap", "event"]
    for message in shown:
        schema.validate(message)


def test_the_table_has_every_metric_and_no_other() -> None:
    sink = SinkStatus("mqtt broker:1883", 1, 1, 1, "")
    metrics = watching(FixedStatus(make_status(make_camera(), sinks=(sink,), counts=make_counts())))
    metrics.observe_frame_age("entrance", 0.1)
    given = set(re.findall(r"^# TYPE (mtmc_\w+)", metrics.text().decode(), flags=re.MULTILINE))
    given = {name for name in given if not name.endswith("_created")}
    table = PAGE.split("## Metrics")[1].split("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    documented = {name for line in rows for name in re.findall(r"`(mtmc_\w+)`", line.split("|")[1])}
    assert documented == given


@pytest.mark.parametrize("text", [PAGE, LAW], ids=["live_outputs", "lawful_use"])
def test_links_and_pictures_exist(text: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (PROJECT_ROOT / "docs" / target).exists(), target
    assert (PROJECT_ROOT / "docs" / "images" / "live_page.png").stat().st_size <= 200_000


def test_settings_named_in_the_text_exist() -> None:
    live = load_config().live
    for section, key in re.findall(r"`live\.(web|retention)\.(\w+)`", PAGE + LAW):
        assert hasattr(getattr(live, section), key), (section, key)
    assert hasattr(live, "max_waiting_rows")
