"""What is said when processes and GPUs, or processes and batches, do not fit; errors on the command line.

Training in two processes is tested in test_training_resume.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.core.errors import InputError
from reid.datasets import read_dataset
from reid.training.distributed import ONE_PROCESS, Processes, joined_processes
from reid.training.trainer import Trainer
from tests.helpers.tiny_training import draw_people, tiny_config


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes(torch.device("cpu")) as (processes, device):
        assert (processes, device) == (ONE_PROCESS, torch.device("cpu"))
        assert processes.is_first
        assert processes.share([1, 2, 3, 4]) == [1, 2, 3, 4]
        assert processes.from_first("value") == "value"


def test_shares_follow_each_other() -> None:
    assert [Processes(rank, 3).share([1, 2, 3, 4, 5, 6]) for rank in range(3)] == [[1, 2], [3, 4], [5, 6]]
    assert not Processes(1, 3).is_first


def test_fewer_gpus_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(InputError, match=r"process 1 \(from 0\) on this machine, which has 1 GPUs"),
        joined_processes(torch.device("cuda")),
    ):
        pass


def test_a_batch_that_cannot_be_shared(tmp_path: Path) -> None:
    dataset = read_dataset(draw_people(tmp_path / "people", 16))
    with pytest.raises(InputError, match="ids_per_batch 8 cannot be shared by 3 processes"):
        Trainer(tiny_config(), {"": dataset}, tmp_path, torch.device("cpu"), processes=Processes(0, 3))
