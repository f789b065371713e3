"""Writing safetensors files, always whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import RunError


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write to `path`, at once: a reader finds the old file or the whole new one.

    Raises:
        RunError: it cannot be written; what was there stays.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        save_file(dict(tensors), partial, metadata=dict(metadata))
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
