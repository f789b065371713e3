"""The number format that `run.precision: auto` means."""

from __future__ import annotations

import pytest
import torch

from reid.training.precision import autocast_dtype


@pytest.mark.parametrize(("amx", "dtype"), [(True, torch.bfloat16), (False, None)])
def test_a_cpu_computes_in_bf16_only_with_amx(
    amx: bool, dtype: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert autocast_dtype(torch.device("cpu"), "auto") == dtype


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_a_named_format_is_used_on_every_device(precision: str, dtype: torch.dtype | None) -> None:
    for device in ("cpu", "cuda", "mps"):
        assert autocast_dtype(torch.device(device), precision) == dtype  # type: ignore[arg-type]
