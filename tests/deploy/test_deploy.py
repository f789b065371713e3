"""The files of deploy/ name only what exists: commands, metrics, labels, packages, keys of systemd."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_command

from pipeline.cli import app
from pipeline.core.paths import PROJECT_ROOT
from pipeline.live.telling.status import CameraState, SinkStatus
from tests.helpers.live.examples import FixedStatus, make_camera, make_counts, make_status, watching

DEPLOY = PROJECT_ROOT / "deploy"
UNIT = DEPLOY / "mtmc-live.service"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
SCRAPE = DEPLOY / "prometheus" / "prometheus.yml"
DASHBOARD = DEPLOY / "grafana" / "mtmc-live.json"
LOCK = DEPLOY / "requirements.lock"

#: Labels that Prometheus adds.
ADDED = {"instance", "job"}
FUNCTIONS = {"histogram_quantile", "increase", "min", "rate", "resets", "sum"}
WORDS = {"by", "instance", "camera", "cause", "reason", "le", "zone", "line", "direction"}

#: Keys of systemd.unit, systemd.service, systemd.exec and systemd.kill that the unit may use.
UNIT_KEYS = {
    "Unit": {"Description", "Wants", "After", "StartLimitIntervalSec"},
    "Install": {"WantedBy"},
    "Service": {
        "Type", "User", "Group", "ExecStart", "ExecReload", "EnvironmentFile", "Environment", "WorkingDirectory",
        "StateDirectory", "StateDirectoryMode", "CacheDirectory", "UMask", "Restart", "RestartSec",
        "RestartPreventExitStatus", "TimeoutStopSec", "LimitNOFILE", "NoNewPrivileges", "ProtectSystem",
        "ProtectHome", "PrivateTmp", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
        "ProtectControlGroups", "ProtectClock", "ProtectHostname", "RestrictSUIDSGID", "RestrictRealtime",
        "RestrictNamespaces", "LockPersonality", "SystemCallArchitectures", "RestrictAddressFamilies",
        "CapabilityBoundingSet",
    },
}  # fmt: skip


def unit_entries() -> list[tuple[str, str, str]]:
    """(section, key, value) of each line; a key may come more than once, unlike in configparser."""
    section, entries = "", []
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            entries.append((section, key, value))
    return entries


def unit_values() -> dict[str, str]:
    return {key: value for _, key, value in unit_entries()}


def given_metrics() -> dict[str, dict[str, set[str]]]:
    """Each sample that /metrics has, with the values of its labels."""
    cameras = [make_camera(state=state, name=state.value, still_s=3.0) for state in CameraState]
    sink = SinkStatus("mqtt broker:1883", 1, 1, 1, "")
    metrics = watching(FixedStatus(make_status(*cameras, sinks=(sink,), counts=make_counts())))
    metrics.observe_frame_age("entrance", 0.1)
    given: dict[str, dict[str, set[str]]] = {"up": {}}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = given.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return given


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [p for p in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if p["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """(where, expression) of all alerts, panels and variables."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]:
        if variable["type"] == "query":
            (metric,) = re.findall(r"^label_values\((.*), \w+\)$", variable["definition"])
            yield variable["name"], metric


@pytest.mark.parametrize(("where", "expression"), [pytest.param(*pair, id=pair[0]) for pair in expressions()])
def test_every_metric_exists_with_its_labels(where: str, expression: str) -> None:
    given = given_metrics()
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    words = set(re.findall(r"[a-z_]\w*", bare))
    names = words - FUNCTIONS - WORDS
    assert names
    assert names <= given.keys(), where
    for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
        for label, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', matchers):
            assert label in given[name].keys() | ADDED, (where, name, label)
            known = given[name].get(label, set())
            if "$" not in value and label not in ADDED:
                values = value.split("|") if operator == "=~" else [value]
                assert set(values) <= known, (where, name, label)
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing), where


def test_each_alert_says_what_happened_and_what_to_do() -> None:
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    given = given_metrics()
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        text = " ".join(rule["annotations"].values())
        labels = set(re.findall(r"\$labels\.(\w+)", text))
        metrics = [name for name in given if re.search(rf"\b{name}\b", rule["expr"])]
        grouped = re.search(r"by \(([^)]*)\)", rule["expr"])
        kept = set(grouped[1].split(", ")) if grouped else {label for name in metrics for label in given[name]}
        assert labels <= kept | (set() if grouped else ADDED), rule["alert"]
    assert SCRAPE.parent / yaml.safe_load(SCRAPE.read_text(encoding="utf-8"))["rule_files"][0] == ALERTS


def test_the_alert_of_a_camera_that_is_away_holds_for_every_such_state() -> None:
    """A camera changes between these states with every attempt; an alert on each would never last two minutes."""
    (rule,) = [rule for rule in alerts() if rule["alert"] == "MtmcCameraAway"]
    (fine,) = re.findall(r'state=~"([^"]*)"', rule["expr"])
    away = {state.value for state in CameraState} - set(fine.split("|"))
    assert away == {"connecting", "stalled", "waiting"}


def test_every_documented_metric_is_on_the_dashboard() -> None:
    shown = " ".join(expression for _, expression in expressions())
    for name in given_metrics():
        base = re.sub(r"_(bucket|count|sum|created)$", "", name)
        if name.startswith("mtmc_"):
            assert base in shown, name


@pytest.mark.parametrize(
    ("measure", "metric"),
    [
        ("occupancy", "mtmc_zone_occupancy{"),
        ("entries", "mtmc_zone_entered_total{"),
        ("exits", "mtmc_zone_left_total{"),
        ("dwell", "mtmc_zone_dwell_seconds_bucket{"),
        ("crossings", "mtmc_line_crossed_total{"),
    ],
)
def test_the_dashboard_shows_zones_and_lines_by_name(measure: str, metric: str) -> None:
    targets = [one for panel in panels() for one in panel["targets"] if metric in one["expr"]]
    assert targets, measure
    place = "line" if "line" in metric else "zone"
    for target in targets:
        assert f'{place}=~"${place}"' in target["expr"]
        assert f"{{{{{place}}}}}" in target["legendFormat"]
        assert place == "zone" or "{{direction}}" in target["legendFormat"]


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    content = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])


def test_the_scraped_address_is_the_one_of_the_page() -> None:
    (job,) = yaml.safe_load(SCRAPE.read_text(encoding="utf-8"))["scrape_configs"]
    defaults = yaml.safe_load((PROJECT_ROOT / "configs" / "default.yaml").read_text(encoding="utf-8"))["live"][
        "web"
    ]
    assert job["metrics_path"] == "/metrics"
    assert job["static_configs"][0]["targets"] == [f"localhost:{defaults['port']}"]
    assert job["job_name"] == "mtmc"
    assert 'up{job="mtmc"}' in ALERTS.read_text(encoding="utf-8")


def test_the_unit_has_known_keys_and_a_command_that_parses() -> None:
    assert {section for section, _, _ in unit_entries()} == UNIT_KEYS.keys()
    for section, key, _ in unit_entries():
        assert key in UNIT_KEYS[section], key
    configparser.ConfigParser(strict=False, interpolation=None).read(UNIT)
    values = unit_values()
    program, *arguments = shlex.split(values["ExecStart"])
    assert Path(program).name == "mtmc"
    name, *options = arguments
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    context = command.make_context(name, options)
    assert str(context.params["config"]) == "/etc/mtmc/site.yaml"
    # The results are in a folder that the service may write.
    assert str(context.params["output"]).startswith(f"/var/lib/{values['StateDirectory']}/")
    settings = {value for _, key, value in unit_entries() if key == "Environment"}
    assert f"MTMC_CACHE=/var/cache/{values['CacheDirectory']}" in settings
    assert "-HUP" in values["ExecReload"]
    # Exit code 2 is a wrong configuration.
    assert (values["Restart"], values["RestartPreventExitStatus"]) == ("always", "2")


def locked() -> dict[str, Version]:
    text = LOCK.read_text(encoding="utf-8")
    return {
        name: Version(version)
        for name, version in re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ \\\n]+)", text, flags=re.MULTILINE)
    }


def test_every_locked_package_has_hashes() -> None:
    entries = re.split(r"\n(?=[a-z0-9])", LOCK.read_text(encoding="utf-8"))
    entries = [entry for entry in entries if "==" in entry.splitlines()[0] and entry[0] != "#"]
    assert len(entries) == len(locked()) > 50
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]


def test_the_lock_fits_what_the_project_needs() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dockerfile = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"--editable '\.\[([\w,]+)\]'", dockerfile)
    (torch,) = re.findall(r'^ARG TORCH_PACKAGES="([^"]+)"', dockerfile, flags=re.MULTILINE)
    versions = locked() | {one.partition("==")[0]: Version(one.partition("==")[2]) for one in torch.split()}
    needed = [*project["dependencies"]]
    for extra in extras.split(","):
        needed += project["optional-dependencies"][extra]
    for requirement in map(Requirement, needed):
        assert requirement.name in versions, requirement.name
        assert versions[requirement.name] in requirement.specifier, requirement
    # The container is for a CPU: PyTorch's packages for GPUs are not in it.
    assert {name for name in locked() if name.startswith(("nvidia-", "cuda-", "triton", "torch"))} == {
        "nvidia-ml-py"
    }
    assert "--require-hashes --requirement deploy/requirements.lock" in dockerfile
