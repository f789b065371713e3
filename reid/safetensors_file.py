"""Writing safetensors files, always whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from pipeline.core.errors import RunError
from pipeline.files.whole_files import SHARED_MODE, write_whole


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write to `path`, at once: a reader finds the old file or the whole new one.

    Raises:
        RunError: it cannot be written; what was there stays.
    """
    try:
        # not `save_file`, whose files nobody but their owner can read
        write_whole(path, save(dict(tensors), metadata=dict(metadata)), mode=SHARED_MODE)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be written: {error}") from error
