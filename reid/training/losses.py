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


def regression_loss(predicted: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine between what a linear layer makes of the features and a teacher's features, mean over the batch.

    Args:
        predicted, teacher: (B, T), of any length.
    """
    return (1.0 - functional.cosine_similarity(predicted, teacher, dim=1)).mean()


@dataclass(frozen=True)
class LossParts:
    """What a batch cost.

    Attributes:
        total: scalar to differentiate: the weighted sum of the parts.
        identity: cross-entropy part.
        metric: triplet or contrastive part.
        teacher: similarity matching part before its weight, the mean over teachers; 0 without a teacher.
        regression: regression part before its weight, likewise.
        accuracy: share of crops whose identity the global classifier names, of those whose identity is known.
    """

    total: Tensor
    identity: Tensor
    metric: Tensor
    teacher: Tensor
    regression: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class LossWeights:
    """Factors on the parts of the loss.

    Attributes:
        identity: on cross-entropy and metric loss.
        teacher: on similarity matching.
        regression: on the regression to the teachers' features.
    """

    identity: float = 1.0
    teacher: float = 0.0
    regression: float = 0.0


def reid_loss(
    logits: Sequence[Tensor],
    features: Sequence[Tensor],
    labels: Tensor,
    *,
    weights: LossWeights,
    label_smoothing: float = 0.0,
    metric_loss: Callable[[Tensor, Tensor], Tensor] = batch_hard_triplet_loss,
    teachers: Sequence[Tensor] = (),
    regressions: Sequence[Tensor] = (),
) -> LossParts:
    """Loss of a batch from a model's heads: one, or the global one followed by the jigsaw's local ones.

    Args:
        logits: per head (B, identities).
        features: per head (B, D), before the batch normalisation neck.
        labels: (B,) int64, class indices; -1 for crops whose identity is not known, which serve the teachers alone.
        label_smoothing: in [0, 1); TransReID trains with 0.
        metric_loss: of features (B, D) and labels.
        teachers: per teacher (B, T), its features of the same crops, L2-normalised.
        regressions: per teacher (B, T), what a linear layer makes of the global features; none for no such loss.
    """
    known = labels >= 0
    nothing = features[0].float().sum() * 0.0
    identity = metric = accuracy = nothing
    if bool(known.any()):
        of_known = labels[known]
        identity = _over_heads(
            [functional.cross_entropy(x[known].float(), of_known, label_smoothing=label_smoothing) for x in logits]
        )
        metric = _over_heads([metric_loss(x[known].float(), of_known) for x in features])
        accuracy = (logits[0][known].argmax(1) == of_known).float().mean()
    matching, regression = nothing, nothing
    if teachers:
        matching = torch.stack(
            [_over_heads([similarity_matching_loss(x.float(), teacher) for x in features]) for teacher in teachers]
        ).mean()
    if regressions:
        regression = torch.stack(
            [regression_loss(x.float(), teacher) for x, teacher in zip(regressions, teachers, strict=True)]
        ).mean()
    total = weights.identity * (identity + metric) + weights.teacher * matching + weights.regression * regression
    return LossParts(total, identity, metric, matching, regression, accuracy)


def _over_heads(losses: list[Tensor]) -> Tensor:
    if len(losses) == 1:
        return losses[0]
    return GLOBAL_WEIGHT * losses[0] + (1.0 - GLOBAL_WEIGHT) * torch.stack(losses[1:]).mean()
