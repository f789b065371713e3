"""A log whose reader is dead or stopped, and what its lines look like."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.logging import RichHandler

from pipeline.core.console import MessageConsole
from pipeline.core.paths import PROJECT_ROOT
from pipeline.live.telling.live_log import LiveLog
from pipeline.live.telling.status_display import StatusDisplay
from tests.helpers.live.examples import FixedStatus, make_camera, make_status
from tests.helpers.live.live_process import STARTED_S, STOPPED_S, clip
from tests.helpers.live.waiting import eventually

log = logging.getLogger("pipeline.test")


@pytest.fixture
def rich_root() -> Iterator[None]:
    """The log as the command line sets it up."""
    root = logging.getLogger()
    handler = RichHandler(console=Console(file=io.StringIO()))
    root.addHandler(handler)
    yield
    root.removeHandler(handler)


def test_lines_have_utc_and_level_and_are_not_wrapped(
    rich_root: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with LiveLog(Console(stderr=True)):
        log.warning("camera %s: %s", "entrance", "x" * 200)
    [line] = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING camera entrance: x{200}", line)


def test_a_reader_that_is_stopped_delays_nothing_and_the_lost_lines_are_counted(
    rich_root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that is full: its reader was stopped, for example by Ctrl-S."""
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as stderr, open(reading, encoding="utf-8") as reader:
        monkeypatch.setattr(sys, "stderr", stderr)
        with LiveLog(Console(file=stderr)) as live:
            for number in range(12_000):
                log.warning("line %d %s", number, "x" * 50)
            read = threading.Thread(target=lambda: lines.extend(reader))
            lines: list[str] = []
            read.start()
            eventually(lambda: len(lines) > 9_000, 20)
            log.warning("after")
            assert live.close(10)
        monkeypatch.undo()
        stderr.close()
        read.join(10)
    lost = [line for line in lines if "log messages could not be written" in line]
    assert "after" in lines[-1]
    # Their number is written as soon as there is room again, which may happen several times.
    count = sum(int(number) for line in lost for number in re.findall(r"WARNING (\d+) log", line))
    assert count > 0
    assert len(lines) - len(lost) - 1 + count == 12_000


def test_a_terminal_that_is_gone_ends_neither_table_nor_program(
    rich_root: None,
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

        def isatty(self) -> bool:
            return True

    console = MessageConsole()
    console.file = Gone()
    console._force_terminal = True
    with LiveLog(console), StatusDisplay(FixedStatus(make_status(make_camera())), console):
        log.warning("nobody reads this")
    console.print("nor this")


@pytest.mark.parametrize("reader", ["dead", "stopped"])
def test_a_run_whose_log_is_not_read_goes_on_and_ends_with_0(tmp_path: Path, reader: str) -> None:
    """As `mtmc live 2>&1 | tee log` in a session that was closed, or whose terminal was stopped."""
    (tmp_path / "site.yaml").write_text(
        json.dumps({"cameras": [{"name": "a", "source": str(clip(tmp_path, "film", 60.0))}]})
    )
    output = tmp_path / "out"
    arguments = ["--config", str(tmp_path / "site.yaml"), "--output", str(output), "--simulate-live"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.live.fake_live", *arguments],
        cwd=PROJECT_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        assert process.stderr.readline()
        fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        if reader == "dead":
            process.stderr.close()

        def rows() -> int:
            return sum(path.read_bytes().count(b"\n") for path in output.glob("traj-*"))

        eventually(lambda: rows() > 10, STARTED_S)
        for _ in range(20):  # each is logged
            process.send_signal(signal.SIGHUP)
            before = rows()
            eventually(lambda before=before: rows() > before, 10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPPED_S + 1.0) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
