"""A screen without a screen: Xvfb, and what it shows."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

_SIZE = "1000x600x24"


@contextmanager
def virtual_screen(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name of the display and the file with its pixels; skip the test without Xvfb."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("needs Xvfb (Debian's xvfb)")
    with (Path(tempfile.gettempdir()) / "mtmc-test-screen.lock").open("w") as alone:
        # A server that ends deletes the socket of another one that got the same number at the same moment.
        fcntl.flock(alone, fcntl.LOCK_EX)
        with _server(program, folder) as display:
            yield display, folder / "Xvfb_screen0"


@contextmanager
def _server(program: str, folder: Path) -> Iterator[str]:
    """Run an X server that draws into a file of the folder; yield the name of its display."""
    reading, writing = os.pipe()
    arguments = [
        program,
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        _SIZE,
        "-fbdir",
        str(folder),
        "-nolisten",
        "tcp",
    ]
    with subprocess.Popen(arguments, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        try:
            with os.fdopen(reading) as pipe:
                yield f":{pipe.readline().strip()}"
        finally:
            server.terminate()


def pixels_of(file: Path) -> NDArray[np.uint8]:
    """Return what a screen shows, (H, W, 3) BGR: an XWD file, whose header is of 32-bit numbers, big end first."""
    data = file.read_bytes()
    header = np.frombuffer(data[:100], ">u4")
    header_size, width, height, row_bytes, colours = (int(header[place]) for place in (0, 4, 5, 12, 19))
    start = header_size + 12 * colours
    rows = np.frombuffer(data[start : start + height * row_bytes], np.uint8).reshape(height, row_bytes)
    return rows[:, : 4 * width].reshape(height, width, 4)[:, :, :3]
