"""Runs `mtmc` and writes what it used: `python -m pipeline.benchmark.measured_command FIGURES.json ARGUMENTS...`."""

from __future__ import annotations

import json
import re
import resource
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the command line with the arguments after the first, which names the file for the figures."""
    figures = sys.argv.pop(1)
    try:
        runpy.run_module("mtmc", run_name="__main__", alter_sys=True)
    finally:
        own, helpers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, per MB
        status = Path("/proc/self/status")
        # Linux counts in ru_maxrss what the process that started this one used, too.
        peak = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
        used = {
            "user_s": own.ru_utime + helpers.ru_utime,
            "system_s": own.ru_stime + helpers.ru_stime,
            "peak_mb": int(peak[1]) / 2**10 if peak else own.ru_maxrss / unit,
            "helpers_peak_mb": helpers.ru_maxrss / unit,
        }
        Path(figures).write_text(json.dumps(used))


if __name__ == "__main__":
    main()
