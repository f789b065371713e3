"""Fixtures that several folders of tests share; their conftest.py imports them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openvino
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[int]:
    """Tiny models run on one thread: handing their work to a second takes longer than doing it. Gives the number of
    threads that torch would use, for the tests whose models are large."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield threads
    torch.set_num_threads(threads)


@pytest.fixture
def fp32_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenVINO compute in 32 bit, so that results can be compared closely: with bf16, which processors that have it
    take by themselves, boxes move by .1 px and confidences by .002."""
    compile_model = openvino.Core.compile_model

    def in_fp32(
        core: openvino.Core, model: Any, device_name: Any = "CPU", config: Any = None, **options: Any
    ) -> Any:
        return compile_model(
            core, model, device_name, {"INFERENCE_PRECISION_HINT": "f32", **(config or {})}, **options
        )

    monkeypatch.setattr(openvino.Core, "compile_model", in_fp32)
