"""The sizes and options that define a TransReID model, and the named architectures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from pipeline.core.errors import InputError

PositionEmbedding = Literal["learned", "sincos"]
Stem = Literal["patches", "omni_scale"]

#: Side of the square of pixels that a token of the omni-scale stem represents.
OMNI_SCALE_STRIDE = 16


@dataclass(frozen=True)
class TransReIDConfig:
    """Everything needed to build a `TransReID` before its weights are loaded.

    Section numbers are those of the TransReID paper (He et al., ICCV 2021).

    Attributes:
        width: D, the length of a token.
        depth: number of transformer blocks; with `jpm` the last one is the pair `b1`, `b2`.
        heads: attention heads per block.
        mlp_ratio: hidden width of a block's MLP divided by `width`.
        qkv_bias: whether the query, key and value projections have a bias.
        attention_scale: factor on query times key; None is (width / heads) ** -0.5.
        patch: side of the square patches in pixels.
        image_size: (height, width) of the input in pixels.
        stride: step between patches in pixels; patches overlap if it is smaller than `patch` (section 3.1).
        cameras: rows of the camera table of the side information embedding (section 3.3); 0 for none.
        views: number of viewpoints in that table; 0 or 1 for none, and view ids are then ignored.
        sie_coefficient: factor on the side information embedding before it is added to every token.
        unknown_row: add a row, trained for crops of cameras that the model does not know.
        jpm: use the jigsaw patch module and its local features (section 3.2).
        shift: the token (counted from 1) at which the jigsaw's sequence starts.
        parts: number of local features of the jigsaw.
        groups: number of groups that the jigsaw interleaves.
        divide_length: a part has this fraction of the tokens (4: a quarter), at least `parts`; None is `parts`. If it
            is larger than `parts`, the last tokens of the jigsaw are in no part.
        rearrange: if False, cut the parts from the tokens in their original order.
        num_classes: identities of the classifiers; 0 for a model without classifiers.
        position_embedding: "learned", or "sincos" for the fixed two-dimensional sine-cosine one.
        drop_path: stochastic depth rate of the last block; it rises linearly from 0 at the first block.
        stem: "patches", a single convolution as in the paper, or "omni_scale" (see `reid.models.omni_scale`), for which
            `patch` and `stride` must be 16.
        stem_channels: channels of the omni-scale stem: of its first convolution and of its three stages.
        stem_gate_groups: groups of the context gates of the omni-scale stem, one number per stage.
    """

    width: int
    depth: int
    heads: int
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    attention_scale: float | None = None
    patch: int = 16
    image_size: tuple[int, int] = (256, 128)
    stride: int = 16
    cameras: int = 0
    views: int = 0
    sie_coefficient: float = 3.0
    unknown_row: bool = False
    jpm: bool = False
    shift: int = 5
    parts: int = 4
    groups: int = 2
    rearrange: bool = True
    divide_length: int | None = None
    num_classes: int = 0
    position_embedding: PositionEmbedding = "learned"
    drop_path: float = 0.0
    stem: Stem = "patches"
    stem_channels: tuple[int, ...] = ()
    stem_gate_groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for field in ("width", "depth", "heads", "patch", "stride", "shift", "parts", "groups"):
            if getattr(self, field) < 1:
                raise InputError(f"TransReID: {field} must be at least 1, but is {getattr(self, field)}")
        for field in ("cameras", "views", "num_classes"):
            if getattr(self, field) < 0:
                raise InputError(f"TransReID: {field} must not be negative, but is {getattr(self, field)}")
        if self.width % self.heads:
            raise InputError(f"TransReID: width {self.width} is not divisible by {self.heads} heads")
        if min(self.image_size) < self.patch:
            raise InputError(
                f"TransReID: image_size {self.image_size} is smaller than a patch of {self.patch} pixels"
            )
        if self.unknown_row and not self.cameras:
            raise InputError("TransReID: unknown_row needs a camera table, but cameras is 0")
        if not 0.0 <= self.drop_path < 1.0:
            raise InputError(f"TransReID: drop_path must be in [0, 1), but is {self.drop_path}")
        if self.position_embedding not in get_args(PositionEmbedding):
            raise InputError(
                f"TransReID: position_embedding must be one of {', '.join(get_args(PositionEmbedding))}, "
                f"but is {self.position_embedding!r}"
            )
        if self.position_embedding == "sincos" and self.width % 4:
            raise InputError(
                f"TransReID: a sincos position embedding needs a width divisible by 4, not {self.width}"
            )
        if self.jpm:
            self._check_jigsaw()
        self._check_stem()

    def _check_jigsaw(self) -> None:
        if self.shift > self.tokens:
            raise InputError(f"TransReID: shift {self.shift} is beyond the {self.tokens} patches of the image")
        if self.fraction < self.parts:
            raise InputError(
                f"TransReID: divide_length {self.fraction} leaves no patches for some of the {self.parts} parts"
            )
        if self.tokens < max(self.fraction, 2):
            raise InputError(f"TransReID: {self.tokens} patches cannot be cut into {self.fraction} parts")

    def _check_stem(self) -> None:
        if self.stem not in get_args(Stem):
            raise InputError(f"TransReID: stem must be one of {', '.join(get_args(Stem))}, but is {self.stem!r}")
        sizes = (self.stem_channels, self.stem_gate_groups)
        if self.stem == "patches":
            if any(sizes):
                raise InputError("TransReID: stem_channels and stem_gate_groups belong to the omni_scale stem")
            return
        if (self.patch, self.stride) != (OMNI_SCALE_STRIDE, OMNI_SCALE_STRIDE):
            raise InputError(
                f"TransReID: the omni_scale stem has patch and stride {OMNI_SCALE_STRIDE}, not {self.patch} and "
                f"{self.stride}"
            )
        if any(side % OMNI_SCALE_STRIDE for side in self.image_size):
            raise InputError(
                f"TransReID: the omni_scale stem needs sides divisible by {OMNI_SCALE_STRIDE}, not {self.image_size}"
            )
        if [len(size) for size in sizes] != [4, 3]:
            raise InputError(
                "TransReID: the omni_scale stem needs four stem_channels and three stem_gate_groups, not "
                f"{list(self.stem_channels)} and {list(self.stem_gate_groups)}"
            )
        for channels, groups in zip(self.stem_channels[1:], self.stem_gate_groups, strict=True):
            if channels % (4 * groups) or channels < 64:
                raise InputError(
                    "TransReID: a stage of the omni_scale stem needs at least 64 channels, and a quarter of them must "
                    f"be divisible by the groups of its gate; not {channels} channels and {groups} groups"
                )

    @property
    def grid_hw(self) -> tuple[int, int]:
        """(rows, columns) of patches; pixels beyond the last whole patch are ignored."""
        return patch_grid_hw(self.image_size, self.patch, self.stride)

    @property
    def tokens(self) -> int:
        """N, the number of patches, without the class token."""
        rows, columns = self.grid_hw
        return rows * columns

    @property
    def fraction(self) -> int:
        """A part of the jigsaw has tokens // fraction patches."""
        return self.parts if self.divide_length is None else self.divide_length

    @property
    def sie_rows(self) -> int:
        """Rows of the side information table, including the row for unknown cameras; 0 if there is no table."""
        if not self.cameras and self.views <= 1:
            return 0
        return max(self.cameras, 1) * max(self.views, 1) + int(self.unknown_row)

    @property
    def feature_dim(self) -> int:
        """Length of the inference feature: `width`, times (1 + `parts`) with the jigsaw."""
        return self.width * (1 + self.parts) if self.jpm else self.width


def patch_grid_hw(image_size: tuple[int, int], patch: int, stride: int) -> tuple[int, int]:
    """Return (rows, columns) of the patches of side `patch` at every `stride` pixels of an image (height, width)."""
    height, width = image_size
    return (height - patch) // stride + 1, (width - patch) // stride + 1


_SMALL = TransReIDConfig(width=384, depth=12, heads=6)
_BASE = TransReIDConfig(width=768, depth=12, heads=12)

#: By name; without side information, jigsaw and classifiers, which `dataclasses.replace` adds.
ARCHITECTURES: Mapping[str, TransReIDConfig] = MappingProxyType(
    {
        "vit_base": _BASE,
        "deit_base": _BASE,
        "vit_small": _SMALL,
        "deit_small": _SMALL,
        "vit_tiny": TransReIDConfig(width=192, depth=12, heads=3),
        # "vit_small_patch16_224" of timm 0.3, which the official configurations call vit_small
        "vit_small_8x768": TransReIDConfig(
            width=768, depth=8, heads=8, mlp_ratio=3.0, qkv_bias=False, attention_scale=768**-0.5
        ),
    }
)


def architecture(name: str) -> TransReIDConfig:
    """Return the named architecture; raises InputError listing the known names if the name is unknown."""
    if name not in ARCHITECTURES:
        raise InputError(f"unknown architecture {name!r}; the known ones are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
