"""The training loss: cross-entropy over identities plus a metric loss (TransReID's triplet or a contrastive loss)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

GLOBAL_WEIGHT = 0.5  # of the global feature; the mean over the jigsaw's local features gets the rest


def batch_hard_triplet_loss(features: Tensor, labels: Tensor) -> Tensor:
    """Soft-margin triplet loss with batch-hard mining (Hermans et al., In Defense of the Triplet Loss, 2017).

    For every row: log(1 + exp(d_ap - d_an)). d_ap is the distance to the farthest row of the same label (including
    itself, at distance 0), d_an that to the nearest row of another label. Distances are Euclidean, of the unnormalised
    features.

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

    For every row: the mean, over the other rows of its label, of -log(exp(cos / t) / sum over all other rows of
    exp(cos / t)). It does not depend on the length of features, so it cannot be lowered by shrinking them. The triplet
    loss can: on backbones with long features, such as DINOv2's, it initially shrinks them.

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
    """Mean squared difference between the cosine similarities of a batch and those of a teacher.

    Only similarities between crops are learned, so the dimension of the teacher's features may differ. Source: Park et
    al., Relational Knowledge Distillation, CVPR 2019, here with cosines instead of distances.

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
    """1 - cosine between the teacher's features predicted by a linear layer and the true ones, mean over the batch.

    Args:
        predicted, teacher: (B, T), normalised here.
    """
    return (1.0 - functional.cosine_similarity(predicted, teacher, dim=1)).mean()


@dataclass(frozen=True)
class LossParts:
    """The loss of a batch.

    Attributes:
        total: scalar to differentiate: the weighted sum of the parts.
        identity: cross-entropy part.
        metric: triplet or contrastive part.
        teacher: similarity matching part before weighting, the mean over teachers; 0 without a teacher.
        regression: regression part before weighting, the mean over teachers; 0 without regression.
        accuracy: share of the crops with a known identity that the global classifier classifies correctly.
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
        identity: factor on cross-entropy and metric loss.
        teacher: factor on similarity matching.
        regression: factor on the regression to the teachers' features.
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
    """Compute the loss of a batch from a model's heads: one, or the global one followed by the jigsaw's local ones.

    Args:
        logits: per head (B, identities).
        features: per head (B, D), before the batch normalisation neck.
        labels: (B,) int64, class indices; -1 for crops of unknown identity, which count only in the teachers' losses.
        label_smoothing: in [0, 1); TransReID trains with 0.
        metric_loss: called with features (B, D) and labels (B,).
        teachers: per teacher (B, T), its features of the same crops, L2-normalised.
        regressions: per teacher (B, T), its features predicted by a linear layer from the global features; empty for
            no regression loss.
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
