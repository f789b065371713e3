"""Weights of the Open Model Zoo's person-reidentification-retail-0277 and -0286 for TransReID's omni-scale stem.

The files are OpenVINO graphs, whose constants have no meaningful names. They are read in the order of the computation,
which matches the order of the layers, and every shape is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.errors import InputError
from reid.models.config import OMNI_SCALE_STRIDE, TransReIDConfig
from reid.models.omni_scale import DESCRIPTOR_DIM, OmniScaleStem
from reid.models.transreid import TransReID

_INPUT_HW = (256, 128)
_TAKEN = ("Convolution", "GroupConvolution", "Add", "Multiply", "Subtract", "MatMul", "PRelu")
#: Gain of the projection to the class token. The descriptors of both networks have a norm of about 7; with this gain, a
#: token of 384 numbers has a standard deviation near 1.
_DESCRIPTOR_GAIN = 3.0


def transreid_from_openvino(path: Path, *, depth: int, width: int, heads: int) -> TransReID:
    """Build a TransReID whose stem is the network at `path` and whose blocks add nothing yet.

    The features of the new model are the network's own, rotated, then normalised by the final norm. Cosine similarities
    of both agree to about 0.01. Blocks are random except for their last layers, which are zero.

    Args:
        path: .xml of the graph, with its .bin beside it.
        depth, width, heads: sizes of the transformer on top of the stem.

    Raises:
        InputError: OpenVINO is not installed, or the file is not one of these networks.
    """
    graph = _read_graph(path)
    constants = _constants(graph)
    channels, groups = _sizes(graph, path)
    model = TransReID(
        TransReIDConfig(
            width=width,
            depth=depth,
            heads=heads,
            image_size=_INPUT_HW,
            patch=OMNI_SCALE_STRIDE,
            stride=OMNI_SCALE_STRIDE,
            stem="omni_scale",
            stem_channels=channels,
            stem_gate_groups=groups,
        )
    )
    stem = model.base.patch_embed
    assert isinstance(stem, OmniScaleStem)
    with torch.no_grad():
        _fill(stem, constants, path)
        for block in model.base.blocks:
            for layer in (block.attn.proj, block.mlp.fc2):  # type: ignore[union-attr]
                nn.init.zeros_(layer.weight)  # type: ignore[union-attr,arg-type]
        nn.init.zeros_(model.base.cls_token)
        model.base.pos_embed[:, 0] = 0
        nn.init.orthogonal_(stem.class_proj.weight, gain=_DESCRIPTOR_GAIN)
    return model


def _read_graph(path: Path) -> Any:
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: reading this network needs the package openvino: pip install openvino"
        ) from error
    if not path.is_file():
        raise InputError(f"there is no network {path}")
    try:
        return openvino.Core().read_model(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read by OpenVINO: {' '.join(str(error).split())}") from error


def _constant(node: Any) -> Any:
    """Return the constant behind `node`, or None."""
    while node.get_type_name() == "Convert":
        node = node.input(0).get_source_output().get_node()
    return node if node.get_type_name() == "Constant" else None


def _constants(graph: Any) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield (kind of the layer, value) for the constants of layers with weights, each once, in computation order."""
    seen: set[str] = set()
    for node in graph.get_ordered_ops():
        if node.get_type_name() not in _TAKEN:
            continue
        for port in node.inputs():
            constant = _constant(port.get_source_output().get_node())
            if constant is not None and constant.get_friendly_name() not in seen:
                seen.add(constant.get_friendly_name())
                yield node.get_type_name(), np.asarray(constant.get_data(), np.float32)


def _sizes(graph: Any, path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return (channels of the first convolution and of the stages, groups of the context gates)."""
    shape = _shape(graph.input(0).get_partial_shape())
    channels: list[int] = []
    groups: list[int] = []
    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        output = _shape(node.output(0).get_partial_shape()) if kind != "Result" else []
        if kind == "MaxPool":
            channels.append(output[1])
        elif kind == "AvgPool" or (kind == "GroupConvolution" and output[2:] == [1, 1]):
            source = node.input(0).get_source_output().get_partial_shape()
            channels.append(_shape(source)[1])
        elif kind == "MVN" and len(output) == 3:
            groups.append(output[1])
    if tuple(shape[2:]) != _INPUT_HW or len(channels) != 4 or len(groups) != 12:
        raise InputError(
            f"{path} is not person-reidentification-retail-0277 or -0286 of the Open Model Zoo: expected an input of "
            f"{_INPUT_HW[0]}x{_INPUT_HW[1]} and three stages with context gates"
        )
    return tuple(channels), tuple(groups[::4])


def _shape(partial: Any) -> list[int]:
    """Return the lengths of a shape's dimensions, -1 for dynamic ones."""
    return [dimension.get_length() if dimension.is_static else -1 for dimension in partial]


class _Constants:
    """Copies the constants of a graph to parameters, in the order of the graph."""

    def __init__(self, constants: Iterator[tuple[str, NDArray[np.float32]]], path: Path) -> None:
        self._constants = constants
        self._path = path

    def skip(self, count: int) -> None:
        for _ in range(count):
            next(self._constants, None)

    def left(self) -> int:
        return sum(1 for _ in self._constants)

    def copy(self, parameter: Tensor, *, again: bool = False) -> None:
        """Copy the next constant; with `again`, only check that `parameter` has these values already."""
        kind, value = next(self._constants, ("nothing", np.zeros(0, np.float32)))
        if value.size != parameter.numel():
            raise InputError(
                f"{self._path} is not an omni-scale network of the Open Model Zoo: {kind} holds {value.shape} where "
                f"{tuple(parameter.shape)} was expected"
            )
        tensor = torch.from_numpy(value.copy()).reshape(parameter.shape)
        if again and not torch.allclose(tensor, parameter, atol=1e-6):
            raise InputError(f"{self._path} has a separate gate for each stream, which this stem does not support")
        parameter.copy_(tensor)

    def copy_layer(
        self, layer: nn.Module, names: Sequence[str] = ("weight", "bias"), *, again: bool = False
    ) -> None:
        for name in names:
            self.copy(layer.get_parameter(name), again=again)


def _fill(stem: OmniScaleStem, found: Iterator[tuple[str, NDArray[np.float32]]], path: Path) -> None:
    constants = _Constants(found, path)
    constants.skip(2)  # mean and scale of the input: the instance norm after them cancels both
    constants.copy_layer(stem.input_norm)
    constants.copy_layer(stem.conv, ("weight",))
    constants.copy_layer(stem.conv_norm)
    for stage in stem.stages:
        for bottleneck in stage.bottlenecks:  # type: ignore[union-attr]
            _fill_bottleneck(bottleneck, constants)
        constants.copy_layer(stage.transition)  # type: ignore[arg-type]
    constants.copy_layer(stem.pool)
    constants.copy_layer(stem.descriptor)
    scale, offset = torch.empty(DESCRIPTOR_DIM), torch.empty(DESCRIPTOR_DIM)
    constants.copy(scale)
    constants.copy(offset)
    stem.descriptor.weight.mul_(scale[:, None])
    stem.descriptor.bias.mul_(scale).add_(offset)
    constants.copy(stem.descriptor_slope.weight)
    if left := constants.left():
        raise InputError(f"{path} has {left} more layers than an omni-scale network of the Open Model Zoo")


def _fill_bottleneck(bottleneck: Any, constants: _Constants) -> None:
    constants.copy_layer(bottleneck.reduce)
    gate = bottleneck.gate
    layers = [gate.reduce, gate.expand] if hasattr(gate, "expand") else [gate]
    for index, stream in enumerate(bottleneck.streams):
        for light in stream:
            constants.copy_layer(light.pointwise, ("weight",))
            constants.copy_layer(light.depthwise)
        for layer in layers:
            # the streams share the gate's weights in the file, but some of its vectors are stored once per stream
            names = ("weight", "bias") if index == 0 or layer is gate else ("bias",)
            constants.copy_layer(layer, names, again=index > 0)
    constants.copy_layer(bottleneck.expand)
    if isinstance(bottleneck.shortcut, nn.Conv2d):
        constants.copy_layer(bottleneck.shortcut)
