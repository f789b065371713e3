"""Opens any file that can serve as embedder: checkpoints, exports of them, and third-party networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS, NetworkInput
from reid.backends.choose import EmbeddingModel
from reid.backends.exported import ExportedModel, is_export, load_export, network_file
from reid.checkpoint_file import CheckpointFile, open_checkpoint, read_card
from reid.crops import Resize, resize_antialiased, resize_opencv
from reid.foreign_network import (
    SUFFIXES,
    ForeignNetwork,
    foreign_hash,
    is_foreign,
    load_foreign,
    read_network_card,
)
from reid.model_header import ModelHeader

if TYPE_CHECKING:
    from reid.checkpoints import LoadedModel

_WITH_HEADER = (CheckpointFile, ExportedModel, ForeignNetwork)


def load_embedding_model(
    path: Path, network_input: NetworkInput | None
) -> LoadedModel | ExportedModel | ForeignNetwork:
    """Load a checkpoint of this project, which needs torch, an export of one, or a third-party network.

    Args:
        network_input: as in `open_embedding_model`.

    Raises:
        InputError: as in `open_embedding_model`.
    """
    model = open_embedding_model(path, network_input)
    return model.load() if isinstance(model, CheckpointFile) else model


def open_embedding_model(
    path: Path, network_input: NetworkInput | None
) -> CheckpointFile | ExportedModel | ForeignNetwork:
    """Open a checkpoint of this project, an export of one, or a third-party network.

    Args:
        network_input: the pixel format that a third-party network takes; None for the project's own files.

    Raises:
        InputError: the file is missing or none of these, or `network_input` is missing or does not apply to it.
    """
    file = network_file(path)
    stated = _stated_input(file, network_input)
    if stated is not None:
        return load_foreign(file, stated)
    return load_export(file) if is_export(file) else open_checkpoint(file)


def embedding_hash(path: Path, network_input: NetworkInput | None) -> str:
    """Return the hash of what a model computes, independent of its calibration, without building the network. Raises
    the errors of `load_embedding_model`."""
    file = network_file(path)
    stated = _stated_input(file, network_input)
    if stated is not None:
        return foreign_hash(file, stated)
    return load_export(file).header.embedding_hash if is_export(file) else read_card(file)[0]


def embedding_card(path: Path, network_input: NetworkInput | None) -> Mapping[str, Any]:
    """Return the card of a model: data, training, calibration. Raises the errors of `load_embedding_model`, and
    InputError when the card beside a network belongs to another network."""
    file = network_file(path)
    stated = _stated_input(file, network_input)
    if stated is not None:
        return read_network_card(file, stated)
    return load_export(file).header.card if is_export(file) else read_card(file)[1]


def header_of(model: EmbeddingModel) -> ModelHeader:
    """Return the header of a model: how to prepare its input, and which embeddings can be compared."""
    return model.header if isinstance(model, _WITH_HEADER) else ModelHeader.of(model)


def resize_of(model: EmbeddingModel) -> Resize:
    """Return the function that resizes crops for a model."""
    return resize_opencv if isinstance(model, ForeignNetwork) else resize_antialiased


def _stated_input(file: Path, network_input: NetworkInput | None) -> NetworkInput | None:
    """Return the input of a third-party network, which must be stated; None for the project's own files, which
    describe their input themselves."""
    if is_foreign(file):
        if network_input is None:
            presets = ", ".join(INPUT_PRESETS)
            raise InputError(
                f"{file} does not say what its input holds: set embedder.input (--input) to one of {presets}, or to "
                "the values of its training, such as {channels: rgb, scale: 255, mean: [0, 0, 0], std: [1, 1, 1]}"
            )
        return network_input
    if network_input is not None and (is_export(file) or file.suffix == ".safetensors"):
        raise InputError(
            f"embedder.input (--input) is for third-party networks ({', '.join(SUFFIXES)}), but {file} describes its "
            "input itself: leave it out"
        )
    return None
