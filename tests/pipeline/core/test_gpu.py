"""Whether torch could use a GPU."""

from __future__ import annotations

import ctypes
import sys
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
import torch

from pipeline.core import gpu


class Driver:
    """NVIDIA's driver with `gpus` GPUs."""

    def __init__(self, gpus: int, error: int = 0) -> None:
        self._gpus, self._error = gpus, error

    def cuInit(self, flags: int) -> int:
        return self._error

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self._gpus
        return 0


@pytest.mark.parametrize(
    ("build", "driver", "expected"),
    [
        pytest.param("2.9.0", Driver(2), True, id="GPUs"),
        pytest.param("2.9.0+cu130", Driver(1), True, id="a GPU, from another index"),
        pytest.param("2.9.0", Driver(0), False, id="none, or CUDA_VISIBLE_DEVICES is empty"),
        pytest.param("2.9.0", Driver(1, error=100), False, id="a driver without device"),
        pytest.param("2.9.0", None, False, id="no driver"),
        pytest.param("2.9.0+cpu", Driver(1), False, id="torch for CPUs"),
        pytest.param("2.9.0+rocm6.4", None, True, id="torch for AMD, which must be asked"),
        pytest.param(None, Driver(1), False, id="no torch"),
    ],
)
@pytest.mark.skipif(sys.platform == "darwin", reason="there are no NVIDIA GPUs on this system")
def test_whether_torch_must_be_asked(
    build: str | None, driver: Driver | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if build is None:
            raise PackageNotFoundError(package)
        return build

    def load(name: str) -> Driver:
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(gpu, "version", version)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert gpu.torch_may_use_gpu() is expected


def test_it_never_says_no_where_torch_has_a_gpu() -> None:
    assert gpu.torch_may_use_gpu() or not torch.cuda.is_available()
