"""Password and certificate files of sinks that change during a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.config import load_config
from pipeline.live.sinks import build
from pipeline.live.sinks.transport import Message
from tests.helpers.live.fakes import FakeStream, steady
from tests.helpers.live.simulated_run import live_run
from tests.helpers.live.waiting import eventually
from tests.helpers.live.watched_fleet import site

DOORS = {"a": lambda: FakeStream(steady(20))}


class Broker:
    """Notes the passwords of its clients and the number of rows; a client is one connection."""

    def __init__(self) -> None:
        self.passwords: list[str | None] = []
        self.rows = 0

    def client(self, settings: Any) -> Any:
        broker, password = self, settings.secret

        class Client:
            def connect(self) -> None:
                broker.passwords.append(password)

            def send(self, messages: Sequence[Message]) -> None:
                broker.rows += sum(message.kind == "row" for message in messages)

            def close(self) -> None:
                pass

        return Client()


@pytest.mark.parametrize("changes", ["password", "trusted certificates"])
def test_a_reload_connects_again_with_what_the_files_hold_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: str
) -> None:
    broker = Broker()
    monkeypatch.setattr(build, "_mqtt", broker.client)
    password, trusted = tmp_path / "password", tmp_path / "ca.pem"
    password.write_text("before")
    trusted.write_text("certificate")
    sink = {"type": "mqtt", "host": "x", "password_file": str(password), "tls": True, "ca_file": str(trusted)}
    config = site(tmp_path, {"a": "rtsp://127.0.0.1/x"}, {"sinks": [sink]})
    with live_run(tmp_path, DOORS, config=config) as run:
        eventually(lambda: broker.rows > 3, 15)
        run.reload(lambda: load_config(tmp_path / "site.yaml"))
        assert broker.passwords == ["before"]  # nothing changed
        (password if changes == "password" else trusted).write_text("after")
        run.reload(lambda: load_config(tmp_path / "site.yaml"))
        eventually(lambda: len(broker.passwords) == 2, 5)
        assert broker.passwords[1] == ("after" if changes == "password" else "before")
        rows = broker.rows
        eventually(lambda: broker.rows > rows + 3, 5)
        password.unlink()
        run.reload(lambda: load_config(tmp_path / "site.yaml"))
        assert "password cannot be read" in run.status().reload_problem
        rows = broker.rows
        eventually(lambda: broker.rows > rows + 3, 5)
        assert len(broker.passwords) == 2
    [sink_status] = run.status().sinks
    assert (sink_status.rows, sink_status.lost) == (run.status().rows_written, 0)
