"""What a short run costs in a fresh process: time, processor time, memory, and the packages that it imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import InputError, RunError
from pipeline.core.export_cache import CACHE_VARIABLE
from pipeline.core.paths import PROJECT_ROOT

_SCENE = PROJECT_ROOT / "demo" / "scene"
#: Frames of the clip: 12.5 s of the demo scene, or 5 s at 25 frames per second.
CLIP_FRAMES = 125
_CLIP_END_S = 12.5
_IMPORT = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| \s*(\S+)")


@dataclass(frozen=True)
class ProcessCost:
    """What one command costs.

    Attributes:
        wall_s: from the start of the process to its end; on a busy machine it says little.
        user_s, system_s: processor time of the process and of those that it started, seconds.
        peak_mb: largest resident memory of the process itself, MB (2**20 bytes).
        helpers_peak_mb: the same of the largest process that it started, such as the one that converts networks; 0
            without one. Linux counts at least the memory that this process itself had at that moment.
    """

    wall_s: float
    user_s: float
    system_s: float
    peak_mb: float
    helpers_peak_mb: float

    @property
    def cpu_s(self) -> float:
        """Processor time, seconds."""
        return self.user_s + self.system_s


def measured_commands(folder: Path) -> Mapping[str, Sequence[str]]:
    """Return the commands in the order in which they have to run: the second clip finds the networks of the first.

    Args:
        folder: an empty folder for the results.
    """
    clip = ["track", str(_SCENE / "cam1.mp4"), "--end", str(_CLIP_END_S), "--overwrite", "--quiet"]
    cameras = [str(_SCENE / f"cam{number}.mp4") for number in (1, 2, 3)]
    return {
        "--help": ["--help"],
        f"{CLIP_FRAMES} frames, networks not converted yet": [*clip, "--output", str(folder / "cold")],
        f"{CLIP_FRAMES} frames": [*clip, "--output", str(folder / "warm")],
        "demo scene, three cameras": ["track", *cameras, "--quiet", "--output", str(folder / "cameras")],
    }


def measure_command(arguments: Sequence[str], cache: Path) -> ProcessCost:
    """Run `mtmc` with these arguments in a fresh process and measure it.

    Args:
        cache: folder for converted networks.

    Raises:
        InputError: the platform does not count what processes use.
        RunError: the command failed.
    """
    if not hasattr(os, "wait4"):
        raise InputError(
            "mtmc benchmark start needs a POSIX system (Linux, macOS), which counts what processes use"
        )
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        began_s = time.perf_counter()
        done = _run(["-m", "pipeline.benchmark.measured_command", str(figures), *arguments], cache)
        wall_s = time.perf_counter() - began_s
        if done.returncode or not figures.exists():
            last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
            raise RunError(f"mtmc {' '.join(arguments)} failed: {last}")
        return ProcessCost(wall_s=wall_s, **json.loads(figures.read_text()))


def import_costs(arguments: Sequence[str], cache: Path) -> dict[str, float]:
    """Return the milliseconds that importing each package takes in a run of `mtmc`, the slowest first.

    Python's own modules count as `python`. Counting makes imports slower, so only the shares are right.

    Raises:
        RunError: the command failed.
    """
    done = _run(["-X", "importtime", "-m", "mtmc", *arguments], cache)
    if done.returncode:
        raise RunError(f"mtmc {' '.join(arguments)} failed with code {done.returncode}")
    spent: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        if match := _IMPORT.fullmatch(line.rstrip()):
            package = match[2].partition(".")[0]
            spent["python" if package in sys.stdlib_module_names else package] += int(match[1])
    return {package: microseconds / 1000 for package, microseconds in spent.most_common()}


def _run(arguments: Sequence[str], cache: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(PROJECT_ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, CACHE_VARIABLE: str(cache)}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
