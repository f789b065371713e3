"""Crops per second that a model embeds, by batch size and precision."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.core.errors import InputError
from reid.backends.base import Backend
from reid.backends.choose import build_backend
from reid.backends.tensorrt_engine import TensorRtBackend
from reid.checkpoints import LoadedModel
from reid.export.to_tensorrt import write_tensorrt


@dataclass(frozen=True)
class Throughput:
    """Throughput of one way to compute a model.

    Attributes:
        computed_by: library, precision and processor.
        crops_per_s: by batch size; medians over repetitions. Includes copying crops from and features to the host.
    """

    computed_by: str
    crops_per_s: dict[int, float]


def measure_throughput(
    backend: Backend, size_hw: tuple[int, int], batches: Sequence[int], *, repetitions: int = 10
) -> Throughput:
    """Measure the throughput of `backend` with random crops (batch, 3, height, width)."""
    rng = np.random.default_rng(0)
    rates = {}
    for batch in batches:
        crops = rng.integers(0, 256, (batch, 3, *size_hw), dtype=np.uint8)
        cameras = np.full(batch, -1, np.int64)
        backend.features(crops, cameras)
        times = []
        for _ in range(repetitions):
            began_s = time.perf_counter()
            backend.features(crops, cameras)
            times.append(time.perf_counter() - began_s)
        rates[batch] = batch / float(np.median(times))
    return Throughput(str(backend.computation), rates)


def throughputs(
    loaded: LoadedModel, device: torch.device, batches: Sequence[int], folder: Path
) -> tuple[list[Throughput], list[str]]:
    """Measure everything that a device supports: torch in 32 bit, and on a GPU torch in 16 bit and TensorRT.

    Args:
        folder: where the TensorRT engine is built.

    Returns:
        The measurements, and a sentence for each option that was left out.
    """
    size_hw = loaded.model.config.image_size
    found, left_out = [], []
    for half in (False, True):
        if half and device.type != "cuda":
            left_out.append(f"half precision in torch: {device} is not a GPU")
            continue
        backend = build_backend(loaded, device=str(device), runtime="torch", half=half)
        found.append(measure_throughput(backend, size_hw, batches))
    try:
        engine = folder / "model.engine"
        write_tensorrt(loaded, engine, max_batch=max(batches))
        found.append(measure_throughput(TensorRtBackend(engine, device), size_hw, batches))
    except InputError as error:
        left_out.append(f"TensorRT: {error}")
    return found, left_out
