"""A convolutional stem for TransReID: the trunk of an omni-scale network, whose last map becomes the patch tokens.

Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019: bottlenecks with four streams whose
receptive fields are 3, 5, 7 and 9 pixels. This is the variant of the Open Model Zoo's networks
person-reidentification-retail-0277 and -0286. It applies instance normalisation to each picture and to the first map,
which removes exposure and colour cast of the camera. It gates every second bottleneck by a linear context transform
(Ruan et al., AAAI 2020). Batch normalisation is folded into the biases of the convolutions.

For convolutions before a transformer see Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Length of the descriptor that the trunk's own head computes.
DESCRIPTOR_DIM = 256
_STREAMS = (1, 2, 3, 4)  # light convolutions in each stream
_SQUEEZE = 16  # reduction of the channel gate (Hu et al., Squeeze-and-Excitation Networks, CVPR 2018)
_BOTTLENECK = 4
_EPS = 1e-5


class _LightConvolution(nn.Module):
    """A 3x3 convolution split into a pointwise and a depthwise one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(cast(Tensor, self.depthwise(self.pointwise(maps))))


class _ChannelGate(nn.Module):
    """Weights channels by a small network applied to their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // _SQUEEZE, 1)
        self.expand = nn.Conv2d(channels // _SQUEEZE, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        means = maps.mean((2, 3), keepdim=True)
        return maps * torch.sigmoid(cast(Tensor, self.expand(functional.relu(self.reduce(means)))))


class _ContextGate(nn.Module):
    """Weights each channel by its mean, normalised over groups of channels."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        batch, channels = maps.shape[:2]
        means = maps.mean((2, 3)).reshape(batch, self.groups, channels // self.groups)
        context = functional.layer_norm(means, means.shape[2:], eps=_EPS).reshape(batch, channels)
        return maps * torch.sigmoid(context * self.weight + self.bias)[:, :, None, None]


class _Bottleneck(nn.Module):
    """Four streams of light convolutions, weighted by a shared gate and summed."""

    def __init__(self, channels_in: int, channels_out: int, gate_groups: int | None) -> None:
        super().__init__()
        middle = channels_out // _BOTTLENECK
        self.reduce = nn.Conv2d(channels_in, middle, 1)
        self.streams = nn.ModuleList(
            nn.Sequential(*(_LightConvolution(middle) for _ in range(length))) for length in _STREAMS
        )
        self.gate = _ChannelGate(middle) if gate_groups is None else _ContextGate(middle, gate_groups)
        self.expand = nn.Conv2d(middle, channels_out, 1)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        reduced = functional.relu(self.reduce(maps))
        first, *others = (cast(Tensor, self.gate(stream(reduced))) for stream in self.streams)
        for other in others:
            first = first + other
        return functional.relu(cast(Tensor, self.expand(first) + self.shortcut(maps)))


class _Stage(nn.Module):
    """Two bottlenecks, the second with the context gate, then a pointwise convolution."""

    def __init__(self, channels_in: int, channels_out: int, gate_groups: int) -> None:
        super().__init__()
        self.bottlenecks = nn.Sequential(
            _Bottleneck(channels_in, channels_out, None), _Bottleneck(channels_out, channels_out, gate_groups)
        )
        self.transition = nn.Conv2d(channels_out, channels_out, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(cast(Tensor, self.transition(self.bottlenecks(maps))))


class OmniScaleStem(nn.Module):
    """Maps images to patch tokens and an initial class token.

    The class token is the trunk's own descriptor (a depthwise convolution over the whole map, then two linear steps),
    projected to the width of the tokens. With blocks that add nothing, the result is the trunk's own features, up to
    a rotation.
    """

    def __init__(
        self, channels: Sequence[int], gate_groups: Sequence[int], grid_hw: tuple[int, int], width: int
    ) -> None:
        """
        Args:
            channels: channels of the first convolution and of the three stages.
            gate_groups: groups of the context gates of the three stages.
            grid_hw: (rows, columns) of tokens: 1/16 of the size of the images.
            width: D, the length of a token.
        """
        super().__init__()
        first, *stages = channels
        self.input_norm = nn.InstanceNorm2d(3, eps=_EPS, affine=True)
        self.conv = nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False)
        self.conv_norm = nn.InstanceNorm2d(first, eps=_EPS, affine=True)
        self.stages = nn.ModuleList(
            _Stage(before, after, groups)
            for before, after, groups in zip((first, *stages), stages, gate_groups, strict=False)
        )
        last = stages[-1]
        self.pool = nn.Conv2d(last, last, grid_hw, groups=last)
        self.descriptor = nn.Linear(last, DESCRIPTOR_DIM)
        self.descriptor_slope = nn.PReLU()
        self.proj = nn.Linear(last, width)
        self.class_proj = nn.Linear(DESCRIPTOR_DIM, width, bias=False)
        nn.init.trunc_normal_(self.proj.weight, std=0.02)
        nn.init.zeros_(self.proj.bias)
        nn.init.orthogonal_(self.class_proj.weight)
        self.to(memory_format=torch.channels_last)  # as the images in `maps`

    def maps(self, images: Tensor) -> Tensor:
        """Return the trunk's last map (B, C, rows, columns) for images (B, 3, H, W) in any affine normalisation."""
        # On a CPU the convolutions take a third to a half of the time with the channels of a pixel side by side.
        images = images.contiguous(memory_format=torch.channels_last)
        maps: Tensor = functional.relu(self.conv_norm(self.conv(self.input_norm(images))))
        maps = functional.max_pool2d(maps, 3, stride=2, padding=1)
        for index, stage in enumerate(self.stages):
            maps = stage(maps)
            if index < len(self.stages) - 1:
                maps = functional.avg_pool2d(maps, 2)
        return maps

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D), row by row, and class token (B, 1, D) of images (B, 3, H, W)."""
        maps = self.maps(images)
        tokens: Tensor = self.proj(maps.flatten(2).transpose(1, 2))
        descriptor = self.descriptor_slope(self.descriptor(self.pool(maps).flatten(1)))
        return tokens, cast(Tensor, self.class_proj(descriptor))[:, None]
