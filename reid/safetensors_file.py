"""Atomic writing of safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from pipeline.core.errors import RunError
from pipeline.files.whole_files import SHARED_MODE, write_whole


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write to `path` atomically: a reader sees either the old file or the complete new one.

    Raises:
        RunError: the file cannot be written; an old file stays.
    """
    try:
        # not `save_file`: only the owner can read the files it writes
        write_whole(path, save(dict(tensors), metadata=dict(metadata)), mode=SHARED_MODE)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be written: {error}") from error
