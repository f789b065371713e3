"""Third-party re-identification networks: ONNX or OpenVINO files that do not describe their input.

The configuration states their input. The calibration of the match limits of a network is stored in a card beside it:
NETWORK.calibration.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError, RunError
from pipeline.core.network_input import INPUT_PRESETS, NetworkInput
from pipeline.files.whole_files import SHARED_MODE, write_whole
from reid.backends.openvino_model import import_openvino, read_network
from reid.model_header import HEADER_KEY, ModelHeader
from reid.site.site import Site

SUFFIXES = (".onnx", ".xml")
CARD_VERSION = 1

#: How crops are resized for all third-party networks (`reid.crops.resize_opencv`); the features depend on it.
RESIZE = "cv2.INTER_LINEAR"

# Suffixes that torch and Hugging Face give to the weights file of an ONNX network that is too large for one file.
_EXTERNAL_DATA = (".data", "_data")


@dataclass(frozen=True)
class ForeignNetwork:
    """A network that maps crops (N, 3, H, W) to features (N, D).

    Attributes:
        path: .onnx, or .xml with its .bin.
        input: the pixel format that it takes.
        header: as for the project's own networks, but without cameras and without a card (see
            `read_network_card`).
    """

    path: Path
    input: NetworkInput
    header: ModelHeader


def is_foreign(path: Path) -> bool:
    """Return whether a file looks like a third-party network: a network without the header that `reid.export` adds."""
    return path.suffix in SUFFIXES and path.is_file() and HEADER_KEY.encode() not in path.read_bytes()


def load_foreign(path: Path, network_input: NetworkInput) -> ForeignNetwork:
    """Inspect a third-party network.

    Raises:
        InputError: OpenVINO is not installed, or the file is missing or is not a network that takes crops.
    """
    model_hash = foreign_hash(path, network_input)
    network = opened(path, network_input)
    _, _, height, width = network.input(0).get_partial_shape().get_max_shape()
    rgb = slice(None, None, -1 if network_input.channels == "bgr" else 1)
    header = ModelHeader(
        model_hash=model_hash,
        image_size=(height, width),
        feature_dim=network.output(0).get_partial_shape()[1].get_length(),
        input_mean=tuple(value / network_input.scale for value in network_input.mean[rgb]),
        input_std=tuple(value / network_input.scale for value in network_input.std[rgb]),
    )
    return ForeignNetwork(path, network_input, header)


def opened(path: Path, network_input: NetworkInput) -> Any:
    """Open a network as an `openvino.Model` for one crop at a time; raises the errors of `load_foreign`."""
    network = read_network(import_openvino(path).Core(), path)
    for kind, ports in (("inputs", network.inputs), ("outputs", network.outputs)):
        if len(ports) != 1:
            raise InputError(
                f"{path} has {len(ports)} {kind}, but an embedder takes crops (N, 3, height, width) alone and returns "
                "their features (N, D) alone"
            )
    taken = network.input(0).get_partial_shape()
    if taken.rank.is_dynamic or len(taken) != 4 or not _can_be(taken[1], 3):
        raise InputError(f"{path} takes {_text(taken)}, but an embedder takes crops (N, 3, height, width)")
    if not network.input(0).get_element_type().is_real():
        raise InputError(
            f"{path} takes {network.input(0).get_element_type().get_type_name()}, but an embedder takes numbers in "
            "floating point"
        )
    stated = network_input.size_hw
    if stated is None and (taken[2].is_dynamic or taken[3].is_dynamic):
        raise InputError(
            f"{path} takes crops of any size {_text(taken)}: state the size it was trained with, such as "
            f"{{channels: {network_input.channels}, scale: {network_input.scale}, mean: {network_input.mean}, "
            f"std: {network_input.std}, size_hw: [256, 128]}}"
        )
    height, width = stated or (taken[2].get_length(), taken[3].get_length())
    if not (_can_be(taken[2], height) and _can_be(taken[3], width)):
        raise InputError(f"{path} takes {_text(taken)}, which is not the stated size_hw [{height}, {width}]")
    try:
        network.reshape([1, 3, height, width])
    except RuntimeError as error:
        raise InputError(
            f"{path} cannot be used on one crop at a time (1, 3, {height}, {width}): {' '.join(str(error).split())}"
        ) from error
    given = network.output(0).get_partial_shape()
    if (
        given.is_dynamic
        or len(given) < 2
        or given[0].get_length() != 1
        or any(d.get_length() != 1 for d in given[2:])
    ):
        raise InputError(f"{path} returns {_text(given)} for one crop, but an embedder returns features (1, D)")
    return network


def foreign_hash(path: Path, network_input: NetworkInput) -> str:
    """Return a hash of all that the features depend on, the network's files and how its input is made: 16 hex digits.

    Raises:
        InputError: a file is missing.
    """
    digest = hashlib.sha256(json.dumps({"resize": RESIZE, **network_input.model_dump()}, sort_keys=True).encode())
    for file in _files(path):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:16]


def with_means(network: ForeignNetwork, site: Site) -> ForeignNetwork:
    """Return the network for use with centring: its hash becomes that of embeddings centred by the means of `site`.

    Raises:
        InputError: the site was learned for another network, or has no means.
    """
    header = network.header
    if site.model_hash != header.model_hash:
        raise InputError(
            f"the site file was learned for the model {site.model_hash}, but {network.path} with this input is "
            f"{header.model_hash}: adapt again with this network, or use no site file"
        )
    if site.means is None or site.means.shape[1] != header.feature_dim:
        raise InputError(
            f"the site file has no camera means of shape ({header.feature_dim},), the shape of the features of "
            f"{network.path}"
        )
    return replace(network, header=replace(header, model_hash=site.embedding_hash))


def card_path(path: Path) -> Path:
    """Return the path of the card of a third-party network."""
    return path.with_name(f"{path.name}.calibration.json")


def read_network_card(path: Path, network_input: NetworkInput) -> Mapping[str, Any]:
    """Return the card of a network, in the form of the cards of checkpoints; empty without a file.

    Raises:
        InputError: the file is damaged, of another version, or belongs to another network or input.
    """
    file = card_path(path)
    if not file.is_file():
        return {}
    again = f"write it again: {calibrate_command(path, network_input)}"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version, model_hash, card = content["version"], content["model_hash"], dict(content["card"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not a readable calibration ({error}); {again}") from error
    if version != CARD_VERSION:
        raise InputError(f"{file} has version {version}, but this program reads {CARD_VERSION}; {again}")
    expected = foreign_hash(path, network_input)
    if model_hash != expected:
        raise InputError(
            f"{file} belongs to the network {model_hash}, but {path.name} with the input {network_input.name} is "
            f"{expected}; {again}"
        )
    return card


def write_network_card(path: Path, network_input: NetworkInput, card: Mapping[str, Any]) -> Path:
    """Write the card of a network beside it atomically; return the path of the card.

    Raises:
        RunError: the card cannot be written.
    """
    file = card_path(path)
    content = {
        "version": CARD_VERSION,
        "network": path.name,
        "input": network_input.model_dump(exclude_none=True),
        "model_hash": foreign_hash(path, network_input),
        "card": dict(card),
    }
    try:
        write_whole(file, (json.dumps(content, indent=1) + "\n").encode(), mode=SHARED_MODE)
    except OSError as error:
        raise RunError(f"{file} cannot be written: {error.strerror}") from error
    return file


def calibrate_command(path: Path, network_input: NetworkInput | None) -> str:
    """Return the command that measures the match limits of a network; `network_input` is None for the project's own."""
    command = f"mtmc reid calibrate --data CROPS --checkpoint {path}"
    if network_input is None:
        return command
    shown = network_input.name if network_input.name in INPUT_PRESETS else f"'{network_input.name}'"
    return f"{command} --input {shown}"


def _files(path: Path) -> list[Path]:
    """Return the files of the network and of its weights."""
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    if path.suffix == ".onnx":
        beside = [path.with_name(path.name + end) for end in _EXTERNAL_DATA]
        return [path, *(file for file in beside if file.is_file())]
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise InputError(f"there is no {weights}, which holds the weights of {path.name}")
    return [path, weights]


def _can_be(dimension: Any, length: int) -> bool:
    """Return whether an OpenVINO dimension allows a length."""
    return bool(dimension.is_dynamic or dimension.get_length() == length)


def _text(shape: Any) -> str:
    """Format an OpenVINO shape as Python writes shapes, with N for a dynamic length."""
    if shape.rank.is_dynamic:
        return "anything"
    return f"({', '.join('N' if item.is_dynamic else str(item.get_length()) for item in shape)})"
