"""Real servers on free ports of 127.0.0.1 for tests; absent programs skip the test with a reason."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Return as soon as the condition holds; fail the test after so many seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        now = time.monotonic()  # before the look, so that there is one after the deadline in any case
        if condition():
            return
        if now > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


def program(name: str, package: str) -> str:
    """The path of a program, or a skipped test that says which Debian package has it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return path


class Server:
    """A server process that can be stopped and started again on the same port.

    Args:
        arguments: the whole command line.
        log: receives what the server says.
    """

    def __init__(self, arguments: Sequence[str], port: int, log: Path) -> None:
        self.port = port
        self._arguments = list(arguments)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        wait_until(self._listens, 20, f"{self._arguments[0]} listens on port {self.port}")

    def kill(self) -> None:
        """End it without a farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
        except OSError:
            return False
        return True


def make_certificate(folder: Path, name: str, other_names: str = "") -> tuple[str, str]:
    """Paths of a certificate that signs itself, and of its key, both in PEM; other names are like IP:127.0.0.1."""
    openssl = program("openssl", "openssl")
    paths = (str(folder / "page.crt"), str(folder / "page.key"))
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName={other_names}"] if other_names else []
    subprocess.run([*command, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths
