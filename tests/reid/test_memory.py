"""Freed memory stays in the process only where that was asked for."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
import numpy as np
from reid.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
block = np.ones(100_000_000, np.uint8)
del block
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * 4096 // 1_000_000)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is a function of glibc")
def test_a_large_block_stays_after_it_is_freed() -> None:
    resident_mb = {
        choice: int(
            subprocess.run([sys.executable, "-c", _PROGRAM, choice], capture_output=True, check=True).stdout
        )
        for choice in ("keep", "return")
    }
    assert resident_mb["keep"] - resident_mb["return"] > 90
