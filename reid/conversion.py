"""The OpenVINO network of a checkpoint, made once and cached.

Nothing here needs torch: the process that converts does.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.export_cache import cached_export
from pipeline.core.own_process import run_module
from reid.checkpoint_file import CheckpointFile
from reid.model_header import ModelHeader

if TYPE_CHECKING:
    from reid.checkpoints import LoadedModel

_NAME = "model.xml"


def cached_openvino(model: CheckpointFile | LoadedModel) -> Path:
    """Return the OpenVINO .xml of a checkpoint from the cache, converting it at its first use: a file in a process of
    its own, and a model in memory in this one.

    Raises:
        InputError: the file is damaged, or its site does not fit it.
        RunError: the conversion failed.
    """
    key = {
        "kind": "reid",
        "precision": "fp32",
        **{package: version(package) for package in ("torch", "timm", "openvino")},
    }
    if isinstance(model, CheckpointFile):
        key["model"] = model.header.model_hash

        def make(folder: Path) -> None:
            site = [] if model.site_path is None else [str(model.site_path)]
            arguments = [str(model.path), str(folder / _NAME), model.header.model_hash, *site]
            run_module("reid.convert", arguments, f"converting the embedding model {model.path}")

        model_hash = model.header.model_hash
    else:
        key["tensors"] = _content_hash(model)

        def make(folder: Path) -> None:
            from reid.export.to_openvino import write_openvino

            write_openvino(model, folder / _NAME)

        model_hash = model.model_hash
    return cached_export(f"the embedding model {model_hash}", key, make) / _NAME


def _content_hash(model: LoadedModel) -> str:
    """Return the SHA-256 of all that the computation depends on: tensors, configuration, header without its card."""
    digest = hashlib.sha256(replace(ModelHeader.of(model), card={}).to_json().encode())
    digest.update(f"{model.model.config} {model.model.neck_feature}".encode())
    for name, tensor in model.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
