"""Initialise a TransReID from a vision transformer for image classification or self-supervised learning."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import InputError
from reid.models.branches import names_with_jigsaw
from reid.models.position_embedding import resize_position_embedding
from reid.models.state_dict import StateDict, errors_naming, read_state_dict, shorten
from reid.models.transreid import TransReID

#: Tensors that a backbone for classification or distillation has in addition to TransReID's.
_HEADS = re.compile(r"head|dist|pre_logits")


def init_backbone(model: TransReID, path_or_state_dict: str | Path | Mapping[str, Any]) -> list[str]:
    """Copy the weights of a timm, DeiT or DINO vision transformer into the backbone of `model`.

    Heads are skipped, a distillation token is dropped, and the position embedding is resized to the model's
    grid. With the jigsaw, the last block and the final norm go into both branches, `b1` and `b2`.

    Args:
        model: a TransReID of the same width, depth and patch size; changed in place.
        path_or_state_dict: .pth or .safetensors with timm's names (`blocks.0.attn.qkv.weight`, ...).

    Returns:
        What was skipped, resized and copied, one sentence each.

    Raises:
        InputError: the file is missing or damaged, or has another architecture; the model is then unchanged.
    """
    source = _timm_names(read_state_dict(path_or_state_dict))
    report = []
    skipped = [key for key in source if _HEADS.search(key)]
    if skipped:
        report.append(f"skipped {shorten(skipped)}")
    source = {key: value for key, value in source.items() if key not in skipped}
    with errors_naming(path_or_state_dict):
        if "cls_token" not in source or "pos_embed" not in source:
            raise InputError(f"not a vision transformer in timm's layout, as it has {shorten(source)}")
        report += _fit_position_embedding(model, source)
        targets = {key: _targets(model, key) for key in source}
        _check_fit(model, source, targets)
    own = model.state_dict()
    with torch.no_grad():
        for key, names in targets.items():
            for target in names:
                own[target].copy_(source[key])
    report.append(f"copied {len(source)} tensors of {model.config.depth} blocks of width {model.config.width}")
    if model.config.jpm:
        report.append("copied the last block and the final norm into b1 and b2")
    return report


def _timm_names(state: StateDict) -> StateDict:
    """Remove the prefix `backbone.` that DINO's checkpoints add to the names of the backbone."""
    if not any(key.startswith("backbone.") for key in state):
        return state
    return {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}


def _fit_position_embedding(model: TransReID, source: StateDict) -> list[str]:
    """Resize source["pos_embed"] to the model's grid, or remove it if the model's position embedding is fixed."""
    if model.config.position_embedding != "learned":
        del source["pos_embed"]
        return ["left out the position embedding: the model has a fixed one"]
    report = []
    embedding = source["pos_embed"]
    tokens = embedding.shape[1] - 1
    if math.isqrt(tokens) ** 2 != tokens and math.isqrt(tokens - 1) ** 2 == tokens - 1:
        embedding = torch.cat([embedding[:, :1], embedding[:, 2:]], dim=1)
        tokens -= 1
        report.append("dropped the distillation token's position embedding")
    side = math.isqrt(tokens)
    new = model.config.grid_hw
    if side * side == tokens:
        old = (side, side)
    elif tokens == model.config.tokens:
        old = new
    else:
        raise InputError(
            f"the {tokens} position embeddings are neither a square grid nor the model's {new[0]}x{new[1]} grid"
        )
    if old != new:
        report.append(f"resized the position embedding from {old[0]}x{old[1]} to {new[0]}x{new[1]} patches")
    source["pos_embed"] = resize_position_embedding(embedding, old, new)
    return report


def _targets(model: TransReID, key: str) -> list[str]:
    """Return the names in the model's state dict to which the backbone's tensor `key` is copied."""
    name = f"base.{key}"
    return names_with_jigsaw(name, model.config.depth) if model.config.jpm else [name]


def _check_fit(model: TransReID, source: StateDict, targets: Mapping[str, list[str]]) -> None:
    own = model.state_dict()
    filled = {name for names in targets.values() for name in names}
    needed = {name for name in own if name.startswith(("base.", "b1.", "b2."))} - {"base.sie_embed"}
    problems = []
    if missing := sorted(needed - filled):
        problems.append(f"no weights for {shorten(missing)}")
    if unknown := sorted(key for key, names in targets.items() if any(name not in own for name in names)):
        problems.append(f"unknown tensors {shorten(unknown)}")
    if wrong := sorted(
        f"{key} {tuple(source[key].shape)} instead of {tuple(own[name].shape)}"
        for key, names in targets.items()
        for name in names[:1]
        if name in own and own[name].shape != source[key].shape
    ):
        problems.append(shorten(wrong))
    if problems:
        raise InputError(
            f"the weights do not fit a backbone of {model.config.depth} blocks and width {model.config.width}: "
            + "; ".join(problems)
        )
