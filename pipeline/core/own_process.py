"""Run a module of this program in a process of its own, whose memory is free again when it ends.

The parent calls `run_module`; the module does its work inside `reporting`. Messages, the result and errors pass as
lines of JSON, so that they look as if the work were done in the parent.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from pipeline.core.errors import InputError, RunError
from pipeline.core.paths import PROJECT_ROOT

# A process that was asked to end and does not is killed after this time.
_PATIENCE_S = 5.0

_log = logging.getLogger(__name__)


def run_module(module: str, arguments: Sequence[str], what: str) -> Any:
    """Run `python -m module arguments` and return its result. An interruption ends the process before it is raised on.

    Args:
        what: what the process does, for the message if it crashes, such as "converting person.pt".

    Raises:
        InputError, RunError: what the module raised, or RunError if the process crashed or was killed.
    """
    path = os.pathsep.join(filter(None, (str(PROJECT_ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,  # its end tells the process that this one has ended
            stdout=subprocess.PIPE,
            stderr=printed,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            encoding="utf-8",
        )
        try:
            answer = _answer(process)
            code = process.wait()
        finally:
            _end(process)
        printed.seek(0)
        text = printed.read()
    _log.debug("%s printed: %s", module, text)
    if "result" in answer and code == 0:
        return answer["result"]
    if "input_error" in answer:
        raise InputError(answer["input_error"])
    if "run_error" in answer:
        raise RunError(answer["run_error"])
    raise RunError(f"{what} failed: {_reason(code, text)}")


def reporting(work: Callable[[], Any]) -> None:
    """Do the work of a module that `run_module` started: send its log, its result and its errors, then exit.

    What the work prints goes to the standard error, which is shown only if the process crashes.
    """
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, handlers=[_Forwarding(messages)], force=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _send(messages, {"result": work()})
    except InputError as error:
        _send(messages, {"input_error": str(error)})
        sys.exit(2)
    except RunError as error:
        _send(messages, {"run_error": str(error)})
        sys.exit(1)


def _answer(process: subprocess.Popen[str]) -> Mapping[str, Any]:
    """Log what the process logs, until it closes its output; return its result or its error."""
    answer: dict[str, Any] = {}
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if "log" in message:
            logging.getLogger(message["logger"]).log(message["level"], "%s", message["log"])
        else:
            answer = message
    return answer


def _end(process: subprocess.Popen[str]) -> None:
    """End the process if it still runs, and collect it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _reason(code: int, text: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        memory = "; is there enough memory?" if -code == signal.SIGKILL else ""
        return f"its process was ended by {name}{memory}"
    lines = [line for line in text.splitlines() if line.strip()]
    return f"its process ended with code {code}: {lines[-1].strip() if lines else 'it printed nothing'}"


class _Forwarding(logging.Handler):
    """Sends log messages to the parent."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        _send(self._stream, {"log": record.getMessage(), "level": record.levelno, "logger": record.name})


def _send(stream: IO[str], message: Mapping[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def _end_with_parent() -> None:
    """End this process when the parent has ended, however it did."""
    os.read(0, 1)  # not `sys.stdin`, whose lock a waiting thread would hold when Python ends
    os._exit(1)
