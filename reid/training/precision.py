"""Choice of the number format of the forward pass."""

from __future__ import annotations

from typing import Literal

import torch


def autocast_dtype(device: torch.device, precision: Literal["auto", "fp32", "bf16", "fp16"]) -> torch.dtype | None:
    """Return the dtype for torch.autocast on `device`, None for plain fp32.

    "auto" uses bf16, or fp16 on a GPU without bf16, only if the hardware supports it. A CPU without bf16 instructions
    emulates them several times slower than fp32.
    """
    if precision != "auto":
        return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if _cpu_computes_bf16() else None
    return None


def _cpu_computes_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
