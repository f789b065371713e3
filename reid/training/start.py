"""The weights that training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from reid.checkpoints import load_checkpoint
from reid.models.loading import OWN_FORMAT_KEY
from reid.models.position_embedding import resize_position_embedding
from reid.models.pretrained import init_backbone
from reid.models.state_dict import read_metadata
from reid.models.transreid import TransReID

STANDARDISATION_CROPS = 512


def start_from(model: TransReID, path: Path) -> list[str]:
    """Fill `model` from a checkpoint of this project, or its backbone from a timm, DeiT or DINO model.

    From a checkpoint everything is taken whose shape fits; the position embedding is resized, so that a run can
    start at a small image size and a second one go on at a larger.

    Returns:
        What was taken, resized and left as it was, one sentence each.

    Raises:
        InputError: a missing or damaged file, or weights of another architecture.
    """
    if not is_own_checkpoint(path):
        report = init_backbone(model, path)
        if model.config.sie_rows:
            # added to every token, random rows would drown the small class token and position embedding of
            # self-supervised backbones
            torch.nn.init.zeros_(model.base.sie_embed)
            report.append("side information starts at zero")
        return report
    trained = load_checkpoint(path).model
    source, own = trained.state_dict(), model.state_dict()
    report = []
    if trained.config.grid_hw != model.config.grid_hw and "base.pos_embed" in source:
        source["base.pos_embed"] = resize_position_embedding(
            source["base.pos_embed"], trained.config.grid_hw, model.config.grid_hw
        )
        old, new = trained.config.grid_hw, model.config.grid_hw
        report.append(f"resized the position embedding from {old[0]}x{old[1]} to {new[0]}x{new[1]} patches")
    fitting = [name for name in own if name in source and source[name].shape == own[name].shape]
    with torch.no_grad():
        for name in fitting:
            own[name].copy_(source[name])
    fresh = sorted(own.keys() - set(fitting))
    report.append(f"took {len(fitting)} tensors of {path.name}")
    if fresh:
        report.append(f"newly initialised: {', '.join(fresh)}")
    return report


def is_own_checkpoint(path: Path) -> bool:
    """Whether `path` is a checkpoint of this project, not a foreign backbone."""
    return OWN_FORMAT_KEY in read_metadata(path)


@torch.no_grad()
def standardise_features(model: TransReID, images: Tensor) -> None:
    """Give the features of `images` (B, 3, H, W) mean 0 and deviation 1 in every channel, by the final norms.

    Data-dependent initialisation after Kraehenbuehl et al., ICLR 2016. Cameras count as unknown. With the jigsaw,
    the local features share their norm and are standardised together.
    """
    was_training = model.training
    model.eval()
    overall, *local = model.features(images)
    heads: list[tuple[nn.Module, Tensor]] = [(model.base.norm, overall)]
    if local:
        heads = [(model.b1[1], overall), (model.b2[1], torch.cat(local))]
    for module, features in heads:
        norm = cast(nn.LayerNorm, module)
        deviation = features.std(0).clamp_min(1e-6)
        norm.weight.div_(deviation)
        norm.bias.sub_(features.mean(0)).div_(deviation)
    model.train(was_training)
