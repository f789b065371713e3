"""`mtmc view` as a command: what it refuses, what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pipeline.cli import main
from tests.helpers.stored_runs import live_run, recorded_run, row

ROWS = [row(1, "hall", 1, 0)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["missing"], "is not a folder"),
        (["empty"], "holds no results"),
        (["run", "--recording", "hall"], "expected CAMERA=PATH"),
        (["run", "--recording", "door=."], "those of the run are hall"),
        (["run", "--recording", "hall=nowhere.mp4"], "nowhere.mp4 does not exist"),
        (["site", "--recording", "hall=."], "a live run"),
        ([".", "--recording", "hall=."], "holds 2 runs: name the folder of one"),
        (["run", "--set", "live.web.host=0.0.0.0"], "the page needs a token"),
        (["run", "--set", "live.web.token=short"], "at least 16 characters"),
        (
            ["run", "--set", "live.web.tls_certificate=a.pem", "--set", "live.web.tls_key=b.pem"],
            "cannot be used for TLS",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_told_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded_run(tmp_path / "run", ROWS)
    live_run(tmp_path / "site", ROWS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["view", *options])
    assert stop.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert problem in line


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_it_prints_an_address_with_the_token_and_ends_with_an_interrupt(tmp_path: Path) -> None:
    folder = recorded_run(tmp_path / "run", ROWS)
    before = sorted(path.name for path in folder.iterdir())
    # A shell that runs the tests in the background has made this process, and so its children, ignore interrupts.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [
        sys.executable,
        "-c",
        f"{heed}; from mtmc.__main__ import main; main()",
        "view",
        str(folder),
        "--no-open",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "NO_COLOR": "1"}
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/login\?token=\S+", line)
            assert address is not None, line
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            with opener.open(address[0]) as answer:
                assert "mtmc view" in answer.read().decode()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert sorted(path.name for path in folder.iterdir()) == before
