"""The training loss: cross-entropy over identities plus a metric loss, TransReID's triplet or a contrastive one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

GLOBAL_WEIGHT = 0.5  # of the global feature; the mean over the jigsaw's local features has the rest


def batch_hard_triplet_loss(features: Tensor, labels: Tensor) -> Tensor:
    """Soft-margin triplet loss with batch-hard mining (Hermans et al., In Defense of the Triplet Loss, 2017).

    For every row: log(1 + exp(d_ap - d_an)) with the farthest row of the same label (itself included, at
    distance 0) and the nearest row of another label; Euclidean distance of features as they are.

    Args:
        features: (B, D), not normalised.
        labels: (B,) int64, at least two different ones.

    Returns:
        The mean over rows, a scalar.
    """
    squared = features.pow(2).sum(1, keepdim=True)
    distance = (squared + squared.T - 2.0 * features @ features.T).clamp_min(1e-12).sqrt()
    same = labels[:, None] == labels[None, :]
    hardest_positive = distance.masked_fill(~same, -torch.inf).amax(1)
    hardest_negative = distance.masked_fill(same, torch.inf).amin(1)
    return functional.softplus(hardest_positive - hardest_negative).mean()


def supervised_contrastive_loss(features: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al., NeurIPS 2020, equation 2) of L2-normalised features.

    For every row the mean over the others of its label of -log(exp(cos / t) / sum over all other rows of the same).
    Being blind to the length of features, it cannot be lowered by shrinking them, which is how the triplet loss
    starts on backbones with long features, such as DINOv2's.

    Args:
        features: (B, D), normalised here.
        labels: (B,) int64, each at least twice.
        temperature: t, above 0.

    Returns:
        The mean over rows, a scalar.
    """
    unit = functional.normalize(features, dim=1)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    log_share = similarity.log_softmax(1)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    return -(log_share.masked_fill(~positive, 0.0).sum(1) / positive.sum(1)).mean()


def similarity_matching_loss(features: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference between the cosine similarities of a batch and those that a teacher gives.

    What carries over is who looks like whom, so the teacher's features may have any length and dimension (Park et
    al., Relational Knowledge Distillation, CVPR 2019, with cosines for distances).

    Args:
        features: (B, D), normalised here.
        teacher: (B, T), L2-normalised.

    Returns:
        The mean over pairs of different rows, a scalar.
    """
    unit = functional.normalize(features, dim=1)
    others = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    return (unit @ unit.T - teacher @ teacher.T)[others].pow(2).mean()


@dataclass(frozen=True)
class LossParts:
    """What a batch cost.

    Attributes:
        total: scalar to differentiate: identity + metric + weighted teacher part.
        identity: cross-entropy part.
        metric: triplet or contrastive part.
        teacher: similarity matching part before its weight; 0 without a teacher.
        accuracy: share of crops whose identity the global classifier names.
    """

    total: Tensor
    identity: Tensor
    metric: Tensor
    teacher: Tensor
    accuracy: Tensor


def reid_loss(
    logits: Sequence[Tensor],
    features: Sequence[Tensor],
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    metric_loss: Callable[[Tensor, Tensor], Tensor] = batch_hard_triplet_loss,
    teacher: Tensor | None = None,
    teacher_weight: float = 0.0,
) -> LossParts:
    """Loss of a batch from a model's heads: one, or the global one followed by the jigsaw's local ones.

    Args:
        logits: per head (B, identities).
        features: per head (B, D), before the batch normalisation neck.
        labels: (B,) int64, class indices.
        label_smoothing: in [0, 1); TransReID trains with 0.
        metric_loss: of features (B, D) and labels.
        teacher: (B, T) features of the same crops by another network, L2-normalised; None for no teacher.
        teacher_weight: factor on the similarity matching loss.
    """
    identity = _over_heads(
        [functional.cross_entropy(x.float(), labels, label_smoothing=label_smoothing) for x in logits]
    )
    metric = _over_heads([metric_loss(x.float(), labels) for x in features])
    accuracy = (logits[0].argmax(1) == labels).float().mean()
    matching = identity.new_zeros(())
    if teacher is not None:
        matching = _over_heads([similarity_matching_loss(x.float(), teacher) for x in features])
    return LossParts(identity + metric + teacher_weight * matching, identity, metric, matching, accuracy)


def _over_heads(losses: list[Tensor]) -> Tensor:
    if len(losses) == 1:
        return losses[0]
    return GLOBAL_WEIGHT * losses[0] + (1.0 - GLOBAL_WEIGHT) * torch.stack(losses[1:]).mean()
