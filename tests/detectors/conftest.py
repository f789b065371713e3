"""What tests of detectors share."""

from __future__ import annotations

from typing import Any

import openvino
import pytest


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
