"""Starts, freezes, kills and restarts RTSP cameras for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
_PROBE = (
    "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0');"
    "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
    "import sys; sys.exit(not all(Gst.ElementFactory.find(name) for name in ('x264enc', 'h264parse', 'rtph264pay')))"
)


@cache
def _missing() -> str | None:
    """Why there can be no RTSP server on this machine; None if there can."""
    if not Path(SYSTEM_PYTHON).exists():
        return f"there is no {SYSTEM_PYTHON}"
    found = subprocess.run([SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return None
    return f"gst-rtsp-server is missing (apt-get install gir1.2-gst-rtsp-server-1.0 ...): {found.stderr[-200:]}"


def reason_to_skip(missing: str | None, environment: Mapping[str, str]) -> str | None:
    """Why tests that need the server cannot run here; RuntimeError where MTMC_TEST_RTSP=required."""
    if missing is not None and environment.get("MTMC_TEST_RTSP") == "required":
        raise RuntimeError(f"MTMC_TEST_RTSP says that the tests of real connections must run, but {missing}")
    return missing


_REASON = reason_to_skip(_missing(), os.environ)
needs_rtsp_server = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class RtspServer:
    """One camera, or several, in a process of its own; nothing runs before `start`."""

    def __init__(self, *mounts: str, user: str = "", password: str = "", gaps: bool = False) -> None:
        self.port = free_port()
        self.mounts = list(mounts)
        self._options = ["--user", user, "--password", password] if user else []
        self._options += ["--gaps"] if gaps else []
        self._process: subprocess.Popen[str] | None = None

    def url(self, name: str, credentials: str = "") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{name}"

    def start(self) -> RtspServer:
        assert self._process is None
        script = Path(__file__).with_name("gst_rtsp.py")
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(script), str(self.port), *self.mounts, *self._options],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "READY":
            self.kill()
            raise AssertionError("the RTSP server did not start; its error is above")
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def rtsp_server(*mounts: str, user: str = "", password: str = "", gaps: bool = False) -> Iterator[RtspServer]:
    """A running server, killed at the end."""
    server = RtspServer(*mounts, user=user, password=password, gaps=gaps).start()
    try:
        yield server
    finally:
        server.kill()
