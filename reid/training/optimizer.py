"""Parameter groups with their own learning rates and weight decay, and frozen blocks."""

from __future__ import annotations

import re

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from pipeline.core.errors import InputError
from reid.models.omni_scale import OmniScaleStem
from reid.models.transreid import TransReID
from reid.training.config import OptimizerConfig

_SGD_MOMENTUM = 0.9
_NEW_PARAMETERS = ("classifier", "bottleneck")
_VECTORS = ("cls_token", "pos_embed", "sie_embed")


def freeze_first_blocks(model: TransReID, count: int) -> None:
    """Freeze the patch embedding and the first `count` blocks; 0 freezes nothing.

    Raises:
        InputError: the backbone has fewer blocks.
    """
    blocks = model.base.blocks
    if count > len(blocks):
        raise InputError(f"optimizer.frozen_blocks {count} is more than the backbone's {len(blocks)} blocks")
    if count:
        for module in (model.base.patch_embed, *blocks[:count]):
            module.requires_grad_(False)


def freeze_stem(model: TransReID, stages: int) -> None:
    """Freeze the first convolution and the first `stages` stages of an omni-scale stem; 0 freezes nothing.

    Raises:
        InputError: the model has no omni-scale stem, or the stem has fewer stages.
    """
    if not stages:
        return
    stem = model.base.patch_embed
    if not isinstance(stem, OmniScaleStem):
        raise InputError("optimizer.frozen_stem_stages is for a model with model.stem; this one has patches")
    if stages > len(stem.stages):
        raise InputError(
            f"optimizer.frozen_stem_stages {stages} is more than the stem's {len(stem.stages)} stages"
        )
    for module in (stem.input_norm, stem.conv, stem.conv_norm, *stem.stages[:stages]):
        module.requires_grad_(False)


def build_optimizer(model: TransReID, config: OptimizerConfig, *, new: nn.Module | None = None) -> Optimizer:
    """Build SGD or AdamW over the parameters that need gradients, one group per parameter.

    Each group has a key `base_lr`, its own learning rate before the schedule.

    Args:
        new: modules outside the model, trained at the learning rate of its classifiers.
    """
    groups = []
    beside = [] if new is None else [(f"{_NEW_PARAMETERS[0]}.{name}", p) for name, p in new.named_parameters()]
    for name, parameter in [*model.named_parameters(), *beside]:
        if not parameter.requires_grad:
            continue
        lr = config.lr * config.layer_decay ** (model.config.depth - layer_of(name, model.config.depth))
        if name.startswith(_NEW_PARAMETERS):
            lr = config.lr * config.new_parameter_lr_factor
        elif name.startswith("base.patch_embed.") and isinstance(model.base.patch_embed, OmniScaleStem):
            lr = config.lr * config.stem_lr_factor
        if name.endswith("bias"):
            lr *= config.bias_lr_factor
        is_vector = parameter.ndim == 1 or name.endswith(_VECTORS)
        decay = config.weight_decay if config.decay_vectors or not is_vector else 0.0
        groups.append({"params": [parameter], "lr": lr, "base_lr": lr, "weight_decay": decay})
    if config.name == "sgd":
        return SGD(groups, momentum=_SGD_MOMENTUM)
    return AdamW(groups, fused=True)  # one pass over the memory; five times as fast on a CPU


def layer_of(name: str, depth: int) -> int:
    """Return the layer of a parameter, counted from the input: 0 for embeddings, 1 to `depth` for blocks, and `depth`
    for everything else."""
    block = re.match(r"base\.blocks\.(\d+)\.", name)
    if block:
        return int(block[1]) + 1
    return 0 if name.startswith(("base.patch_embed.", "base.cls_token", "base.pos_embed")) else depth


def set_learning_rates(optimizer: Optimizer, lr_of_base: dict[float, float]) -> None:
    """Set the learning rate of every group to the value for its `base_lr`."""
    for group in optimizer.param_groups:
        group["lr"] = lr_of_base[group["base_lr"]]


def base_learning_rates(optimizer: Optimizer) -> set[float]:
    """Return the distinct `base_lr` of the groups."""
    return {group["base_lr"] for group in optimizer.param_groups}


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that need gradients; the norm of the gradient is computed over them."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
