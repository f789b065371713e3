"""Atomic writing of safetensors files, with a checksum of the tensors, which the format does not have."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.core.errors import InputError, RunError
from pipeline.files.whole_files import SHARED_MODE, write_whole

if TYPE_CHECKING:
    from torch import Tensor

CHECKSUM_KEY = "mtmc_tensors_sha256"


def checksum(tensors: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of the names and bytes of tensors."""
    digest = hashlib.sha256()
    for name, data in sorted(tensors.items()):
        digest.update(f"{name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def check_tensors(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Raise InputError if the tensors of a file are not as they were written, or hold values that are no numbers.

    Args:
        arrays: all tensors of the file.
        metadata: of the file; one of an earlier version has no checksum.
    """
    stated = metadata.get(CHECKSUM_KEY)
    if stated is not None and stated != checksum({name: array.tobytes() for name, array in arrays.items()}):
        raise InputError(f"{path} is damaged: its checksum is wrong; use a copy of it")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{path} is damaged: {name} has values that are not finite numbers; use a copy of it")


def read_metadata(path: Path) -> dict[str, str]:
    """Return the text metadata of a .safetensors file; empty for any other file.

    Raises:
        InputError: the file is missing or damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file: {error}") from error


def _raw(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor of any type, also of one that numpy does not have."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write to `path` atomically: a reader sees either the old file or the complete new one.

    Raises:
        RunError: the file cannot be written; an old file stays.
    """
    from safetensors.torch import save

    metadata = {**metadata, CHECKSUM_KEY: checksum({name: _raw(tensor) for name, tensor in tensors.items()})}
    try:
        # not `save_file`: only the owner can read the files it writes
        write_whole(path, save(dict(tensors), metadata=dict(metadata)), mode=SHARED_MODE)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be written: {error}") from error
