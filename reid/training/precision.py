"""Choice of the number format of the forward pass."""

from __future__ import annotations

from typing import Literal

import torch


def autocast_dtype(device: torch.device, precision: Literal["auto", "fp32", "bf16", "fp16"]) -> torch.dtype | None:
    """Return the dtype for torch.autocast on `device`, None for plain fp32.

    "auto" uses bf16, or fp16 on a GPU without bf16, only if the hardware is faster with it. Among CPUs these are the
    ones with AMX: with the bf16 instructions of AVX-512 alone, a step of a model with a convolutional stem takes 1.35
    times as long as in fp32 (Xeon with two cores), and CPUs without either emulate bf16, several times slower.
    """
    if precision != "auto":
        return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else None
    return None
