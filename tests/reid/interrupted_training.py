"""A training run in a process of its own that ends itself at a given moment.

`python -m tests.reid.interrupted_training CONFIG DATA FOLDER AFTER_BATCH IN_STATE`: the process kills itself after so
many batches, or in the middle of writing the state of that number, from 1; 0 for neither.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from rich.console import Console

from reid.training import state
from reid.training.config import parse_training_config
from reid.training.distributed import joined_processes
from reid.training.train import train


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingOs:
    """The module os for `reid.training.state`, whose fsync leaves half a file and dies at call `at`."""

    def __init__(self, at: int) -> None:
        self._calls_left = at

    def fsync(self, descriptor: int) -> None:
        self._calls_left -= 1
        if self._calls_left == 0:
            os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
            die()
        os.fsync(descriptor)


def main(config: str, data: str, folder: str, after_batch: int, in_state: int) -> None:
    torch.set_num_threads(1)
    state.os = DyingOs(in_state)
    with joined_processes(torch.device("cpu")) as (processes, device):
        train(
            parse_training_config(json.loads(config), source="test"),
            data=Path(data),
            folder=Path(folder),
            resume=(Path(folder) / state.STATE_NAME).exists(),
            device=device,
            console=Console(quiet=True),
            processes=processes,
            on_iteration=lambda done: die() if done == after_batch else None,
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
