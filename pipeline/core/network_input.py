"""The pixel format of a network's input, set in the configuration for networks that do not state it themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pipeline.core.config_faults import describe
from pipeline.core.errors import InputError
from pipeline.core.section import Count, Positive, Section
from pipeline.core.yaml_file import parse_yaml

Channels = Annotated[list[float], Field(min_length=3, max_length=3)]
Deviations = Annotated[list[Positive], Field(min_length=3, max_length=3)]


class NetworkInput(Section):
    """How crops become the input of a network: (value - mean) / std, channel by channel.

    Attributes:
        channels: the order of the network's channels.
        scale: pixel values range from 0 to this.
        mean, std: on that scale, in the order of `channels`.
        size_hw: [height, width] in pixels, for a network that accepts any size; None: as the network states.
    """

    channels: Literal["rgb", "bgr"]
    scale: Literal[1, 255]
    mean: Channels
    std: Deviations
    size_hw: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None

    def pixels_of(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Convert images (N, H, W, 3) uint8 RGB to the network's input (N, 3, H, W) float32."""
        ordered = images[..., ::-1] if self.channels == "bgr" else images
        scaled = (ordered * (self.scale / 255) - np.array(self.mean)) / np.array(self.std)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)

    @property
    def name(self) -> str:
        """The value for a command line or a configuration: the name of a preset, or a YAML mapping."""
        for name, preset in INPUT_PRESETS.items():
            if preset == self:
                return name
        return json.dumps(self.model_dump(exclude_none=True)).replace('"', "")


#: Presets by the names that `embedder.input`, `--input` and `--peer` accept.
INPUT_PRESETS: Mapping[str, NetworkInput] = MappingProxyType(
    {
        # Intel's Open Model Zoo: BGR, 0 to 255
        "bgr255": NetworkInput(channels="bgr", scale=255, mean=[0, 0, 0], std=[1, 1, 1]),
        # torchvision, torchreid and BoxMOT: RGB, mean and standard deviation of ImageNet
        "imagenet": NetworkInput(channels="rgb", scale=1, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        # TransReID: RGB from -1 to 1
        "half": NetworkInput(channels="rgb", scale=1, mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]),
    }
)


def from_preset(value: object) -> object:
    """Return the preset that a text names, and any other value unchanged; a validator for pydantic."""
    if not isinstance(value, str):
        return value
    if value not in INPUT_PRESETS:
        raise ValueError(
            f"expected one of {', '.join(INPUT_PRESETS)}, or a mapping {{channels: rgb, scale: 1, mean: [...], "
            f"std: [...]}}, but it is {value!r}"
        )
    return INPUT_PRESETS[value]


def parse_network_input(option: str, text: str) -> NetworkInput:
    """Parse the preset or YAML mapping given to `option` of a command line; InputError if it is neither."""
    try:
        value: Any = from_preset(parse_yaml(text, f"{option} {text!r}"))
        return value if isinstance(value, NetworkInput) else NetworkInput.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{option} {text!r}: {describe(error)}") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{option} {text!r}: {' '.join(str(error).split())}") from error
