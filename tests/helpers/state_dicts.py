"""State dicts in the layout of the released TransReID files, written down from their key table."""

from __future__ import annotations

import torch
from torch import Tensor

from reid.models.transreid import TransReID, TransReIDConfig


def released_shapes(
    width: int = 768,
    depth: int = 12,
    *,
    tokens: int = 128,
    mlp: int | None = None,
    qkv_bias: bool = True,
    sie_rows: int = 0,
    jpm: bool = False,
    classes: int = 751,
) -> dict[str, tuple[int, ...]]:
    """Every key of a released file with its shape, the tensors that inference never uses included."""
    d, hidden = width, mlp or 4 * width

    def block(prefix: str) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{prefix}.{norm}.weight": (d,), f"{prefix}.{norm}.bias": (d,)}
        shapes[f"{prefix}.attn.qkv.weight"] = (3 * d, d)
        if qkv_bias:
            shapes[f"{prefix}.attn.qkv.bias"] = (3 * d,)
        shapes |= {f"{prefix}.attn.proj.weight": (d, d), f"{prefix}.attn.proj.bias": (d,)}
        shapes |= {f"{prefix}.mlp.fc1.weight": (hidden, d), f"{prefix}.mlp.fc1.bias": (hidden,)}
        shapes |= {f"{prefix}.mlp.fc2.weight": (d, hidden), f"{prefix}.mlp.fc2.bias": (d,)}
        return shapes

    shapes: dict[str, tuple[int, ...]] = {"base.cls_token": (1, 1, d), "base.pos_embed": (1, 1 + tokens, d)}
    if sie_rows:
        shapes["base.sie_embed"] = (sie_rows, 1, d)
    shapes |= {"base.patch_embed.proj.weight": (d, 3, 16, 16), "base.patch_embed.proj.bias": (d,)}
    for index in range(depth):
        shapes |= block(f"base.blocks.{index}")
    shapes |= {"base.norm.weight": (d,), "base.norm.bias": (d,)}
    shapes |= {"base.fc.weight": (1000, d), "base.fc.bias": (1000,)}
    heads = [""]
    if jpm:
        for branch in ("b1", "b2"):
            shapes |= block(f"{branch}.0") | {f"{branch}.1.weight": (d,), f"{branch}.1.bias": (d,)}
        heads += ["_1", "_2", "_3", "_4"]
    for head in heads:
        shapes[f"classifier{head}.weight"] = (classes, d)
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"bottleneck{head}.{name}"] = (d,)
        shapes[f"bottleneck{head}.num_batches_tracked"] = ()
    return shapes


def released_state_dict(*args: int, **kwargs: int | bool) -> dict[str, Tensor]:
    """`released_shapes`, filled with zeros that take no memory."""
    shapes = released_shapes(*args, **kwargs)  # type: ignore[arg-type]
    return {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}


def released_of(model: TransReID, classes: int = 5) -> dict[str, Tensor]:
    """The state dict of `model` as the authors' program would have written it, with all that it never uses."""
    c: TransReIDConfig = model.config
    shapes = released_shapes(
        c.width,
        c.depth,
        tokens=c.tokens,
        mlp=int(c.width * c.mlp_ratio),
        qkv_bias=c.qkv_bias,
        sie_rows=c.sie_rows,
        jpm=c.jpm,
        classes=classes,
    )
    own = model.state_dict()
    return {key: own[key] if key in own else torch.full(shape, 7.0) for key, shape in shapes.items()}
