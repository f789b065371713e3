"""Loading of TransReID state dicts in the format of the authors' training program.

The names and shapes of the tensors determine the architecture, never the name of the file.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import InputError
from reid.checkpoint_file import OWN_FORMAT_KEY
from reid.models.config import TransReIDConfig, patch_grid_hw
from reid.models.position_embedding import resize_position_embedding
from reid.models.state_dict import StateDict, errors_naming, read_state_dict, shorten
from reid.models.transreid import TransReID
from reid.safetensors_file import read_metadata

logger = logging.getLogger(__name__)

#: (height, width) and strides of the published re-identification models. The number of position embeddings does not
#: determine the grid, so these are tried if the caller gives none.
IMAGE_SIZES_IN_USE = ((256, 128), (384, 128), (384, 192), (256, 256), (128, 64), (224, 224))
STRIDES_IN_USE = (16, 14, 12, 11)
VIEWS_IN_USE = 8  # viewpoints of VeRi-776, the only published models with a view table

#: Names of tensors in models of other projects, and descriptions of those models for error messages.
_OTHER_MODELS = (
    (re.compile(r"(base\.)?patch_embed\.conv\."), "a TransReID-SSL model with a convolutional stem"),
    (re.compile(r"image_encoder\.|prompt_learner\."), "a CLIP-ReID model"),
    (re.compile(r"(base\.)?stages\.|.*relative_position_bias_table"), "a Swin model, such as SOLIDER"),
    (
        re.compile(r"(backbone\.)?(cls_token|blocks\.0\.)"),
        "a plain vision transformer, which has no re-identification heads: train from it with "
        "reid.models.pretrained.init_backbone",
    ),
    (re.compile(r"conv1\.|layer1\.|base\.conv1\."), "a convolutional network"),
)


def load_transreid(
    path_or_state_dict: str | Path | Mapping[str, Any],
    *,
    image_size: tuple[int, int] | None = None,
    stride: int | None = None,
    cameras: int | None = None,
    views: int | None = None,
    heads: int | None = None,
    shift: int = 5,
    shuffle_groups: int = 2,
    divide_length: int | None = None,
    rearrange: bool = True,
    sie_coefficient: float = 3.0,
) -> TransReID:
    """Build the TransReID that a state dict belongs to and load the weights, for inference.

    Classifiers and other tensors that inference never uses are optional and are ignored.

    Args:
        path_or_state_dict: a .pth or .safetensors file, or the state dict itself.
        image_size: (height, width) in pixels to run at; if the model was trained with another size, the position
            embedding is resized. None infers the size from the number of position embeddings.
        stride: step between patches in pixels; otherwise like `image_size`.
        cameras, views: how the rows of the side information table are divided; row = camera * views + view.
        heads: attention heads; None is one per 64 channels (8 in the official 8-block small model).
        shift: start of the jigsaw sequence (SHIFT_NUM): 5 in the official person models, 8 in the vehicle models.
        shuffle_groups: pieces of that sequence that are interleaved (SHUFFLE_GROUP); 2 in every official configuration.
        divide_length: a local feature sees this fraction of the patches (DEVIDE_LENGTH); None is the number of local
            features, 4 in every official configuration.
        rearrange: whether the jigsaw moves patches at all (RE_ARRANGE); True in every official configuration. Without
            it, shift and groups have no effect.
        sie_coefficient: factor on the side information: 3.0 in every official configuration.

    Returns:
        The model in evaluation mode, float32 on the CPU; its `loading_report` states what was changed, left out, or
        set by default.

    Raises:
        InputError: the file is missing or damaged, has another architecture, or its shapes leave a choice open.
    """
    if isinstance(path_or_state_dict, (str, Path)) and OWN_FORMAT_KEY in read_metadata(Path(path_or_state_dict)):
        raise InputError(
            f"{path_or_state_dict} is a checkpoint of this project: load it with reid.checkpoints.load_checkpoint"
        )
    state = read_state_dict(path_or_state_dict)
    with errors_naming(path_or_state_dict):
        jigsaw = _Jigsaw(shift, shuffle_groups, divide_length, rearrange)
        model = _build(state, image_size, stride, cameras, views, heads, jigsaw, sie_coefficient)
    for line in model.loading_report:
        logger.info("%s", line)
    return model.eval()


@dataclass(frozen=True)
class _Jigsaw:
    """The settings of the jigsaw that the shapes of the tensors do not determine; see `load_transreid`."""

    shift: int
    groups: int
    divide_length: int | None
    rearrange: bool

    def said(self, config: TransReIDConfig) -> list[str]:
        """Return what was assumed, for the loading report."""
        if not config.jpm:
            unused = "the settings of the jigsaw have no effect, because the file has no jigsaw (no b1 and b2)"
            return [] if self == _Jigsaw(5, 2, None, True) else [unused]
        parts = (
            f"local features that see 1/{config.fraction} of the patches each (DEVIDE_LENGTH {config.fraction})"
        )
        if not self.rearrange:
            order = "patches in their order (RE_ARRANGE False; shift and groups have no effect)"
            return [f"assumed {order} and {parts} for the jigsaw, which the shapes do not determine"]
        return [
            f"assumed {self.shift} as the shift of the jigsaw, which the shapes do not determine",
            f"assumed a jigsaw that moves the patches (RE_ARRANGE True) in {self.groups} groups (SHUFFLE_GROUP "
            f"{self.groups}), and {parts}, which the shapes do not determine",
        ]


def _build(
    state: StateDict,
    image_size: tuple[int, int] | None,
    stride: int | None,
    cameras: int | None,
    views: int | None,
    heads: int | None,
    jigsaw: _Jigsaw,
    sie_coefficient: float,
) -> TransReID:
    report: list[str] = []
    _check_family(state)
    jpm = any(key.startswith("b1.") for key in state)
    width = state["base.cls_token"].shape[-1]
    patch = state["base.patch_embed.proj.weight"].shape[-1]
    fc1 = state["base.blocks.0.mlp.fc1.weight"]
    qkv_bias = "base.blocks.0.attn.qkv.bias" in state
    depth = _depth(state, jpm, width, qkv_bias)
    old_small = (width, depth, qkv_bias) == (768, 8, False)
    if heads is None:
        heads = _default_heads(width, old_small)
        report.append(f"assumed {heads} attention heads, which the shapes do not determine")
    trained_grid, image_size, stride = _grid(state["base.pos_embed"].shape[1] - 1, patch, image_size, stride)
    rows = state["base.sie_embed"].shape[0] if "base.sie_embed" in state else 0
    cameras, views = _side_information_table(rows, cameras, views)
    parts = sum(re.fullmatch(r"bottleneck_\d+\.weight", key) is not None for key in state)

    config = TransReIDConfig(
        width=width,
        depth=depth,
        heads=heads,
        mlp_ratio=fc1.shape[0] / width,
        qkv_bias=qkv_bias,
        attention_scale=768**-0.5 if old_small else None,
        patch=patch,
        image_size=image_size,
        stride=stride,
        cameras=cameras,
        views=views,
        sie_coefficient=sie_coefficient,
        jpm=jpm,
        shift=jigsaw.shift,
        groups=jigsaw.groups,
        divide_length=jigsaw.divide_length,
        rearrange=jigsaw.rearrange,
        parts=parts or 4,
    )
    report.append(
        f"assumed images of {image_size[0]}x{image_size[1]} (height x width) with a patch every {stride} pixels: "
        f"{config.grid_hw[0]}x{config.grid_hw[1]} patches"
    )
    if rows:
        report.append(f"read the {rows} side information rows as {cameras} cameras x {max(views, 1)} views")
    report += jigsaw.said(config)
    if rows:
        report.append(
            f"assumed {sie_coefficient:g} as the factor on the side information, which the shapes do not determine"
        )
    if config.grid_hw != trained_grid:
        state["base.pos_embed"] = resize_position_embedding(state["base.pos_embed"], trained_grid, config.grid_hw)
        report.append(
            f"resized the position embedding from {trained_grid[0]}x{trained_grid[1]} to "
            f"{config.grid_hw[0]}x{config.grid_hw[1]} patches"
        )
    model = TransReID.uninitialised(config)
    _copy_tensors(model, state, report)
    model.loading_report = report
    return model


def _check_family(state: StateDict) -> None:
    """Raise InputError unless all tensors that determine the architecture are there."""
    needed = (
        "base.cls_token",
        "base.pos_embed",
        "base.patch_embed.proj.weight",
        "base.blocks.0.attn.qkv.weight",
        "base.blocks.0.mlp.fc1.weight",
    )
    missing = [key for key in needed if key not in state]
    if not missing:
        return
    for pattern, description in _OTHER_MODELS:
        found = [key for key in state if pattern.match(key)]
        if found:
            raise InputError(
                f"this is not a TransReID state dict but {description}: it has {_describe(state, found)}"
            )
    raise InputError(
        f"this is not a TransReID state dict: it lacks {shorten(missing)}, and has {_describe(state, list(state))}"
    )


def _describe(state: StateDict, keys: list[str]) -> str:
    return shorten((f"{key} {tuple(state[key].shape)}" for key in keys), limit=4)


def _depth(state: StateDict, jpm: bool, width: int, qkv_bias: bool) -> int:
    """Return the number of blocks, counting `b1` and `b2` as one.

    With the jigsaw, the official files contain `base.blocks.<last>` and `base.norm`, which are not used; either or
    both may have been removed from a file.
    """
    found = 1 + max(int(match[1]) for key in state if (match := re.match(r"base\.blocks\.(\d+)\.", key)))
    if not jpm:
        return found
    usual = {(768, True): 12, (384, True): 12, (192, True): 12, (768, False): 8}.get((width, qkv_bias))
    if usual in (found, found + 1):
        return usual
    return found if "base.norm.weight" in state else found + 1


def _default_heads(width: int, old_small: bool) -> int:
    if old_small:
        return 8
    if width % 64:
        raise InputError(f"a width of {width} does not determine the number of attention heads; give heads")
    return width // 64


def _grid(
    tokens: int, patch: int, image_size: tuple[int, int] | None, stride: int | None
) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Return the grid (rows, columns) of `tokens` position embeddings, and the image size and the stride to use."""
    sizes = (image_size,) if image_size else IMAGE_SIZES_IN_USE
    strides = (stride,) if stride else STRIDES_IN_USE
    fitting = [(size, step) for size in sizes for step in strides if _tokens(size, patch, step) == tokens]
    if len(fitting) > 1:
        raise InputError(
            f"{tokens} patches can be {_list_pairs(fitting)}: give the image_size and stride of the training"
        )
    if fitting:
        size, step = fitting[0]
        return patch_grid_hw(size, patch, step), size, step

    # no requested size and stride has this number of patches: resize the embedding from the grid of the training
    trained = [
        (size, step)
        for size in IMAGE_SIZES_IN_USE
        for step in STRIDES_IN_USE
        if _tokens(size, patch, step) == tokens
    ]
    grids = {patch_grid_hw(size, patch, step) for size, step in trained}
    if len(grids) != 1:
        raise InputError(
            f"{tokens} patches do not match image_size={image_size}, stride={stride}, and do not determine the "
            f"image size of the training (tried {', '.join(f'{h}x{w}' for h, w in IMAGE_SIZES_IN_USE)} with "
            f"strides {', '.join(map(str, STRIDES_IN_USE))}): give the image_size and stride of the training"
        )
    chosen = sorted({(image_size or size, stride or step) for size, step in trained})
    if len(chosen) > 1:
        raise InputError(f"{tokens} patches can be {_list_pairs(chosen)}; give both")
    return grids.pop(), *chosen[0]


def _tokens(image_size: tuple[int, int], patch: int, stride: int) -> int:
    rows, columns = patch_grid_hw(image_size, patch, stride)
    return rows * columns


def _list_pairs(pairs: list[tuple[tuple[int, int], int]]) -> str:
    return " or ".join(f"image_size=({size[0]}, {size[1]}) with stride={step}" for size, step in pairs)


def _side_information_table(rows: int, cameras: int | None, views: int | None) -> tuple[int, int]:
    """Return (cameras, views) of a table of `rows` rows; 0 cameras or 0 views mean a table without them."""
    if rows == 0:
        if cameras or (views or 0) > 1:
            raise InputError(
                f"the checkpoint has no side information table, but cameras={cameras}, views={views} was given"
            )
        return 0, 0
    if cameras is None and views is None:
        candidates = [(rows, 0)]
        if rows % VIEWS_IN_USE == 0 and rows > VIEWS_IN_USE:
            candidates.append((rows // VIEWS_IN_USE, VIEWS_IN_USE))
        if len(candidates) > 1:
            listed = " or ".join(f"cameras={c}, views={v}" for c, v in candidates)
            raise InputError(f"the checkpoint's {rows} side information rows may be {listed}; give one of them")
        return candidates[0]
    if cameras is None:
        divisor = max(views or 0, 1)
        cameras = rows // divisor if rows > divisor or divisor == 1 else 0
    elif views is None:
        views = rows // max(cameras, 1)
    assert views is not None
    if max(cameras, 1) * max(views, 1) != rows:
        raise InputError(
            f"the checkpoint has {rows} side information rows, which is not cameras={cameras} times views={views}"
        )
    return cameras, views if views > 1 else 0


def _copy_tensors(model: TransReID, state: StateDict, report: list[str]) -> None:
    """Copy `state` into `model`; raise InputError for tensors that are missing, unknown or of another shape."""
    own = model.state_dict()
    last = f"base.blocks.{model.config.depth - 1}."
    dead = [key for key in state if key.startswith("base.fc.")]
    if model.config.jpm:
        dead += [key for key in state if key.startswith((last, "base.norm."))]
    classifiers = [key for key in state if re.match(r"classifier(_\d+)?\.", key)]
    if dead:
        report.append(f"left out tensors that inference never uses: {_groups(dead)}")
    if classifiers:
        identities = state[classifiers[0]].shape[0]
        report.append(f"left out the classifiers of {identities} identities: {_groups(classifiers)}")
    unknown = state.keys() - own.keys() - {*dead, *classifiers}
    # the features before the neck do not need it
    necks = [key for key in own if key.startswith("bottleneck") and key not in state]
    if necks:
        report.append(f"the file has no {_groups(necks)}: only features before the neck are usable")
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.reset_parameters()
    missing = own.keys() - state.keys() - set(necks)
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    problems = []
    if missing:
        problems.append(f"lacks {shorten(sorted(missing))}")
    if unknown:
        problems.append(f"also has {_describe(state, sorted(unknown))}")
    if wrong:
        problems.append(
            "has "
            + shorten(
                f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}" for key in sorted(wrong)
            )
        )
    if problems:
        c = model.config
        raise InputError(
            f"the state dict is not the TransReID of {c.depth} blocks and width {c.width} that its first tensors "
            f"indicate: it {'; '.join(problems)}"
        )
    with torch.no_grad():
        for key in own.keys() & state.keys():
            own[key].copy_(state[key])


def _groups(keys: list[str]) -> str:
    """Return the distinct modules of some keys; that of base.blocks.11.norm1.weight is base.blocks.11."""
    groups = {re.match(r"(base\.blocks\.\d+|base\.\w+|\w+)", key)[0]: None for key in keys}  # type: ignore[index]
    return shorten(groups)
