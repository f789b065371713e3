"""Tests of the command `mtmc live` that need no cameras."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from pipeline.cli import main
from pipeline.config.config import Config
from pipeline.core.errors import InputError


def test_a_run_whose_models_cannot_load_leaves_its_port_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    used: list[bool] = []

    def build_live(config: Config) -> None:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        used.append(True)
        raise InputError("weights.pt is damaged")

    monkeypatch.setattr("pipeline.commands.live.build_live", build_live)
    site = {
        "cameras": [{"name": "hall", "source": "rtsp://127.0.0.1:1/hall"}],
        "live": {"web": {"enabled": True, "port": port}},
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site), encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["live", "--config", str(tmp_path / "site.yaml"), "--output", str(tmp_path / "out")])
    assert end.value.code == 2
    assert "weights.pt is damaged" in capsys.readouterr().err
    assert used
    with socket.socket() as again:
        again.bind(("127.0.0.1", port))
