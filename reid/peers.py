"""Re-identification networks of others, run through OpenVINO: to compare with, or to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from pipeline.errors import InputError
from reid.datasets import CropSet, read_rgb
from reid.distances import Float32Array, unit_rows

_BATCH = 16


@dataclass(frozen=True)
class PixelFormat:
    """What a network's input channels hold: (value / 255 - mean) / std, in RGB or BGR order."""

    bgr: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def input_of(self, images: NDArray[np.uint8]) -> Float32Array:
        """Images (N, H, W, 3) uint8 RGB to the network's (N, 3, H, W) float32."""
        scaled = (images / 255 - np.array(self.mean)) / np.array(self.std)
        ordered = scaled[..., ::-1] if self.bgr else scaled
        return np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), np.float32)


#: By the name that `parse_peer` reads.
PIXEL_FORMATS: Mapping[str, PixelFormat] = MappingProxyType(
    {
        # Intel's Open Model Zoo: BGR, 0 to 255
        "bgr255": PixelFormat(bgr=True, mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255)),
        # torchvision, torchreid and BoxMOT: RGB, mean and standard deviation of ImageNet
        "imagenet": PixelFormat(bgr=False, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        # TransReID: RGB from -1 to 1
        "half": PixelFormat(bgr=False, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    }
)


@dataclass(frozen=True)
class Peer:
    """A network to measure beside the project's own.

    Attributes:
        name: under which its figures are printed.
        path: OpenVINO IR (.xml) or ONNX (.onnx), see `network_features`.
        pixels: key of `PIXEL_FORMATS`.
    """

    name: str
    path: Path
    pixels: str


def parse_peer(text: str) -> Peer:
    """Read NAME=FILE,PIXELS.

    Raises:
        InputError: another form, unknown pixels, or no such file.
    """
    name, equals, rest = text.partition("=")
    path, comma, pixels = rest.rpartition(",")
    if not (name and equals and path and comma):
        raise InputError(f"--peer {text!r}: expected NAME=FILE,PIXELS, such as intel=network.xml,bgr255")
    if pixels not in PIXEL_FORMATS:
        raise InputError(f"--peer {text!r}: {pixels!r} is none of the pixel formats {', '.join(PIXEL_FORMATS)}")
    if not Path(path).is_file():
        raise InputError(f"--peer {text!r}: there is no file {path}")
    return Peer(name, Path(path), pixels)


def network_features(path: Path, crops: CropSet, pixels: str, *, description: str = "peer") -> Float32Array:
    """Embed crops with a network in OpenVINO's or ONNX format, on the CPU, with a progress bar.

    Crops are resized bilinearly without antialiasing (`cv2.resize`), as the programs that publish such networks do.

    Args:
        path: .xml or .onnx file of a network that takes (N, 3, H, W) and returns (N, D).
        pixels: key of `PIXEL_FORMATS`.
        description: what the progress bar says.

    Returns:
        (N, D) float32 in the order of the crops, L2-normalised.

    Raises:
        InputError: OpenVINO is not installed, the file is no such network, or a crop cannot be read.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: running this network needs the package openvino: pip install openvino"
        ) from error
    try:
        core = openvino.Core()
        network = core.read_model(str(path))
        if len(network.inputs) != 1:
            raise InputError(
                f"{path} has {len(network.inputs)} inputs, but a network of others takes crops alone; an export of "
                "this project is measured by 'python -m reid evaluate --checkpoint'"
            )
        _, channels, height, width = network.input(0).partial_shape.get_max_shape()
        network.reshape([-1, channels, height, width])
        compiled: Any = core.compile_model(network, "CPU")
    except InputError:
        raise
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{path} is no network of crops (N, 3, height, width) that OpenVINO can run: "
            f"{' '.join(str(error).split())}"
        ) from error
    features = []
    for start in track(range(0, len(crops), _BATCH), description=description):
        images = [
            cv2.resize(np.asarray(read_rgb(crop.path)), (width, height), interpolation=cv2.INTER_LINEAR)
            for crop in crops.crops[start : start + _BATCH]
        ]
        batch = PIXEL_FORMATS[pixels].input_of(np.stack(images))
        features.append(np.asarray(compiled(batch)[0]).reshape(len(images), -1))
    return unit_rows(np.concatenate(features))
