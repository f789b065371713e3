"""Work in a process of its own looks as if it were done here."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.core.errors import InputError, RunError
from pipeline.core.own_process import run_module

_WORK = """
import logging, os, signal, sys, time
from pipeline.core.errors import InputError, RunError
from pipeline.core.own_process import reporting

def work():
    what = sys.argv[1]
    print("printed, which nobody reads")
    logging.getLogger("detectors.some").warning("a word from there")
    if what == "result":
        return {"value": 7}
    if what == "input":
        raise InputError("the file is wrong")
    if what == "run":
        raise RunError("the disk is full")
    if what == "crash":
        raise ValueError("a fault of the program")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    open(sys.argv[2], "w").write(str(os.getpid()))
    time.sleep(60)

reporting(work)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "some_work.py").write_text(_WORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "some_work"


def test_result_and_log_arrive(module: str, caplog: pytest.LogCaptureFixture) -> None:
    assert run_module(module, ["result"], "working") == {"value": 7}
    assert ("detectors.some", logging.WARNING, "a word from there") in caplog.record_tuples


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("input", InputError, "^the file is wrong$"),
        ("run", RunError, "^the disk is full$"),
        ("crash", RunError, "^working failed: its process ended with code 1: ValueError: a fault of the program$"),
        ("kill", RunError, "^working failed: its process was ended by SIGKILL; is there enough memory?"),
    ],
)
def test_errors_arrive(module: str, what: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run_module(module, [what], "working")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_the_process_that_waits_for_it(module: str, tmp_path: Path, ending: signal.Signals) -> None:
    """Also if that one is killed and can do nothing."""
    written = tmp_path / "pid"
    code = f"from pipeline.core.own_process import run_module; run_module('{module}', ['wait', {str(written)!r}], 'x')"
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    waiting = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (written.exists() and written.read_text()):
        assert waiting.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker = psutil.Process(int(written.read_text()))
    waiting.send_signal(ending)
    _, said = waiting.communicate(timeout=60)
    psutil.wait_procs([worker], timeout=20)
    assert not worker.is_running()
    if ending == signal.SIGINT:
        assert said.rstrip().endswith("KeyboardInterrupt")
