"""`mtmc live` without the packages of the page and of the sinks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.core.paths import PROJECT_ROOT

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"starlette", "uvicorn", "prometheus_client", "paho", "redis", "confluent_kafka"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from pipeline.cli import main
main(sys.argv[1:])
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("live", "message"),
    [
        ({"web": {"enabled": True}}, "pip install 'mtmc[web]'"),
        ({"sinks": [{"type": "mqtt", "host": "broker"}]}, "pip install 'mtmc[mqtt]'"),
        ({"sinks": [{"type": "redis", "host": "redis"}]}, "pip install 'mtmc[redis]'"),
        ({"sinks": [{"type": "kafka", "servers": ["kafka:9092"]}]}, "pip install 'mtmc[kafka]'"),
    ],
    ids=["page", "mqtt", "redis", "kafka"],
)
def test_what_is_missing_is_said_before_any_model_loads(
    tmp_path: Path, live: dict[str, object], message: str
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump({"cameras": [{"name": "a", "source": "rtsp://127.0.0.1:9/x"}], "live": live}))
    result = run("live", "--config", str(site), "--output", str(tmp_path / "out"))
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_everything_else_starts_without_them() -> None:
    assert run("live", "--help").returncode == 0
    assert run("purge", "--help").returncode == 0
