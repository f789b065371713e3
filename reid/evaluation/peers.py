"""Third-party re-identification networks, for comparison with the project's own or as teachers in training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.progress import track

from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS, NetworkInput, parse_network_input
from pipeline.core.vectors import unit
from reid.backends.foreign import ForeignBackend
from reid.crops import resize_image, resize_opencv
from reid.datasets import CropSet, read_rgb
from reid.distances import Float32Array
from reid.foreign_network import load_foreign

_BATCH = 16


@dataclass(frozen=True)
class Peer:
    """A third-party network to compare with the project's own.

    Attributes:
        name: name under which its results are printed.
        path: OpenVINO IR (.xml) or ONNX (.onnx).
        input: the pixel format that it takes.
    """

    name: str
    path: Path
    input: NetworkInput


def parse_peer(text: str) -> Peer:
    """Parse NAME=FILE,INPUT.

    Raises:
        InputError: the text has another form, the input is unknown, or the file does not exist.
    """
    name, path, network_input = named_network("--peer", text)
    if network_input is None:
        raise InputError(f"--peer {text!r}: expected NAME=FILE,INPUT, such as intel=network.xml,bgr255")
    return Peer(name, path, network_input)


def named_network(option: str, text: str) -> tuple[str, Path, NetworkInput | None]:
    """Parse NAME=FILE or NAME=FILE,INPUT, where INPUT is a preset or a YAML mapping; raises as `parse_peer` does."""
    name, equals, rest = text.partition("=")
    if not (name and equals and rest) or ("," not in rest and not Path(rest).is_file()):
        raise InputError(f"{option} {text!r}: expected NAME=FILE,INPUT, such as intel=network.xml,bgr255")
    if Path(rest).is_file():
        return name, Path(rest), None
    path, _, stated = rest.partition(",{") if rest.endswith("}") else rest.rpartition(",")
    network_input = parse_network_input(option, "{" + stated if rest.endswith("}") else stated)
    if not Path(path).is_file():
        raise InputError(f"{option} {text!r}: there is no file {path}")
    return name, Path(path), network_input


def network_features(
    path: Path, crops: CropSet, pixels: str | NetworkInput, *, description: str = "peer"
) -> Float32Array:
    """Embed crops with a third-party network on the CPU, in 32 bit, with a progress bar.

    Args:
        path: .xml or .onnx file of a network that takes (N, 3, H, W) and returns (N, D).
        pixels: the pixel format that it takes, or the name of a preset.
        description: text of the progress bar.

    Returns:
        (N, D) float32 in the order of the crops, L2-normalised.

    Raises:
        InputError: OpenVINO is not installed, the network does not have that form, or a crop cannot be read.
    """
    network = load_foreign(path, INPUT_PRESETS[pixels] if isinstance(pixels, str) else pixels)
    backend = ForeignBackend(network, exact=True)
    features = []
    for start in track(range(0, len(crops), _BATCH), description=escape(description)):
        images = [
            resize_image(read_rgb(crop.path), network.header.image_size, resize_opencv)
            for crop in crops.crops[start : start + _BATCH]
        ]
        features.append(backend.features(np.stack(images), np.full(len(images), -1, np.int64)))
    return unit(np.concatenate(features))
