"""`mtmc live` as a process of its own, for tests of signals and of what stays on the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.paths import PROJECT_ROOT
from tests.helpers.media import write_video

STARTED_S = 60.0
# From a signal to the end: what is promised, and half a second for a busy machine.
STOPPED_S = 2.0 + 0.5


class LiveProcess:
    """Collects what it prints in a file."""

    def __init__(
        self, folder: Path, *arguments: str, log: str = "log.txt", env: dict[str, str] | None = None
    ) -> None:
        self.log = folder / log
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.helpers.live.fake_live", *arguments],
                cwd=PROJECT_ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=env,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, within_s: float) -> tuple[int, float]:
        """Its exit code, and the seconds until it came."""
        began_s = time.monotonic()
        code = self._process.wait(within_s)
        return code, time.monotonic() - began_s

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def live_process(
    folder: Path, *arguments: str, log: str = "log.txt", env: dict[str, str] | None = None
) -> Iterator[LiveProcess]:
    """A process that is killed at the end, if it is still there; its log is shown if the test fails."""
    process = LiveProcess(folder, *arguments, log=log, env=env)
    try:
        yield process
    except BaseException:
        print(process.text)
        raise
    finally:
        process.kill()


def clip(folder: Path, name: str, seconds: float, fps: int = 10) -> Path:
    """A grey video."""
    import numpy as np

    picture = np.full((240, 320, 3), 128, np.uint8)
    return write_video(folder / f"{name}.mp4", [picture] * int(seconds * fps), frame_rate=fps)
