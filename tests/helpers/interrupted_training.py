"""Training runs in processes of their own that end themselves at a given moment.

`python -m tests.helpers.interrupted_training STAGES`, where STAGES is a JSON list of lists of runs. The runs of a stage
go on at the same time, the stages one after the other; the exit codes are printed, as a JSON list of lists. The runs
are forked from one process, as importing torch takes longer than they do.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pipeline.files import whole_files
from reid.training import state
from reid.training.config import parse_training_config
from reid.training.distributed import joined_processes
from reid.training.train import train


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingOs:
    """The module os for `pipeline.files.whole_files`, whose fsync leaves half of the `at`-th state and dies."""

    def __init__(self, at: int) -> None:
        self._states_left = at

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if Path(path).match(f".{state.STATE_NAME}.*.part"):
            self._states_left -= 1
            if self._states_left == 0:
                os.truncate(path, os.path.getsize(path) // 2)
                die()
        os.fsync(descriptor)


def train_and_die(run: dict[str, Any]) -> None:
    """Train in this process.

    Args:
        run: config, data and folder of the run, which is resumed if it has a state; "environment" to set;
            "after_batch", the number of batches after which the process kills itself, and "in_state", the number
            (from 1) of the state in the middle of whose writing it does, 0 for neither.
    """
    torch.set_num_threads(1)
    os.environ.update(run["environment"])
    whole_files.os = DyingOs(run["in_state"])  # type: ignore[assignment]
    folder = Path(run["folder"])
    with joined_processes(torch.device("cpu")) as (processes, device):
        train(
            parse_training_config(run["config"], source="test"),
            data={"": Path(run["data"])},
            folder=folder,
            resume=(folder / state.STATE_NAME).exists(),
            device=device,
            console=Console(quiet=True),
            processes=processes,
            on_iteration=lambda done: die() if done == run["after_batch"] else None,
        )


def start(run: dict[str, Any]) -> int:
    """Fork a process for `run`; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        train_and_die(run)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    codes = []
    for stage in json.loads(sys.argv[1]):
        children = [start(run) for run in stage]
        codes.append([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
