"""Losses and learning rate against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from reid.training.losses import (
    LossWeights,
    batch_hard_triplet_loss,
    regression_loss,
    reid_loss,
    supervised_contrastive_loss,
)
from reid.training.schedule import WarmupCosine


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


# four points on a line: a at 0 and 1, b at 3 and 7
LINE = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
LABELS = torch.tensor([0, 0, 1, 1])


def test_batch_hard_triplet_takes_farthest_positive_and_nearest_negative() -> None:
    # positives 1, 1, 4, 4; negatives 3, 2, 2, 6
    expected = (softplus(1 - 3) + softplus(1 - 2) + softplus(4 - 2) + softplus(4 - 6)) / 4
    assert batch_hard_triplet_loss(LINE, LABELS).item() == pytest.approx(expected, abs=1e-6)


def test_triplet_equals_the_released_one() -> None:
    """The value was computed in float64 with the loss of the authors' release."""
    entries = torch.arange(8 * 16, dtype=torch.float64).reshape(8, 16)
    loss = batch_hard_triplet_loss(2 * torch.sin(0.3 * entries), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
    assert loss.item() == pytest.approx(6.313371809097117, abs=1e-12)


def test_triplet_of_equal_points_is_log_two_and_has_finite_gradients() -> None:
    features = torch.ones(4, 3, requires_grad=True)
    loss = batch_hard_triplet_loss(features, LABELS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_contrastive_loss_is_cross_entropy_among_the_others() -> None:
    # directions 0, 0, 90 and 180 degrees: cosines of row 0 to the others are 1, 0, -1
    features = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    first = -math.log(math.exp(2) / (math.exp(2) + 1 + math.exp(-2)))  # rows 0 and 1, positive at cosine 1
    third = -math.log(1 / (1 + 1 + 1))  # row 2: all others at cosine 0
    fourth = -math.log(1 / (1 + 2 * math.exp(-2)))  # row 3: positive at 0, others at -1
    loss = supervised_contrastive_loss(features, LABELS, temperature=0.5)
    assert loss.item() == pytest.approx((2 * first + third + fourth) / 4, abs=1e-6)
    longer = supervised_contrastive_loss(features * torch.tensor([[1], [7], [2], [9]]), LABELS, temperature=0.5)
    assert longer.item() == pytest.approx(loss.item(), abs=1e-6)


def test_identity_loss_and_accuracy() -> None:
    # softmax of (ln 3, 0) is (3/4, 1/4)
    logits = torch.tensor([[math.log(3), 0.0]]).repeat(4, 1)
    parts = reid_loss([logits], [LINE], LABELS, weights=LossWeights())
    assert parts.identity.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, abs=1e-6)
    assert parts.total.item() == pytest.approx(parts.identity.item() + parts.metric.item(), abs=1e-6)
    assert parts.accuracy.item() == 0.5


def test_label_smoothing() -> None:
    # the target of 2 classes becomes (0.9, 0.1) with smoothing 0.2
    logits = torch.tensor([[math.log(3), 0.0]]).repeat(2, 1)
    parts = reid_loss([logits], [LINE[:2]], torch.tensor([0, 1]), weights=LossWeights(), label_smoothing=0.2)
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    expected = (0.9 * right + 0.1 * wrong + 0.1 * right + 0.9 * wrong) / 2
    assert parts.identity.item() == pytest.approx(expected, abs=1e-6)


def test_jigsaw_heads_weigh_half_together() -> None:
    heads = [LINE, LINE * 2, LINE * 3, LINE * 4, LINE * 5]
    single = [batch_hard_triplet_loss(x, LABELS).item() for x in heads]
    uniform = torch.zeros(4, 2)
    parts = reid_loss([uniform] * 5, heads, LABELS, weights=LossWeights())
    assert parts.metric.item() == pytest.approx(0.5 * single[0] + 0.5 * sum(single[1:]) / 4, abs=1e-5)
    assert parts.identity.item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("epoch", "base", "expected"),
    [
        (1, 0.008, 1.664e-3),
        (2, 0.008, 3.248e-3),
        (3, 0.008, 4.832e-3),
        (4, 0.008, 6.416e-3),
        (5, 0.008, 7.9658e-3),
        (10, 0.008, 7.8640e-3),
        (20, 0.008, 7.4652e-3),
        (40, 0.008, 6.004e-3),
        (60, 0.008, 4.008e-3),
        (80, 0.008, 2.012e-3),
        (100, 0.008, 5.508e-4),
        (119, 0.008, 1.737e-5),
        (120, 0.008, 1.6e-5),
        (1, 0.016, 3.264e-3),
        (60, 0.016, 8.008e-3),
        (120, 0.016, 1.6e-5),
    ],
)
def test_learning_rates_of_the_released_training(epoch: int, base: float, expected: float) -> None:
    """Base rate 0.008, 120 epochs with 5 of warm-up; biases have twice the rate but the same ends."""
    schedule = WarmupCosine(epochs=120, warmup_epochs=5, start_lr=0.01 * 0.008, floor_lr=0.002 * 0.008)
    assert schedule.lr(epoch, base) == pytest.approx(expected, rel=2e-4)


def test_regression_counts_directions_alone() -> None:
    """Same direction 0, at a right angle 1, opposite 2."""
    teacher = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    predicted = torch.tensor([[5.0, 0.0], [0.0, 0.1], [-2.0, 0.0]])
    assert regression_loss(predicted, teacher).item() == pytest.approx((0 + 1 + 2) / 3)


def test_crops_without_an_identity_serve_the_teachers_alone() -> None:
    """Two people and a stranger: cross-entropy and accuracy are of the people, teachers see all three."""
    logits = torch.tensor([[9.0, 0.0], [0.0, 9.0], [3.0, 4.0]])
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    weights = LossWeights(identity=2.0, teacher=3.0, regression=5.0)
    labels = torch.tensor([0, 1, -1])
    parts = reid_loss(
        [logits],
        [features],
        labels,
        weights=weights,
        metric_loss=lambda x, y: x.sum() * 0 + len(y),
        teachers=[teacher],
        regressions=[features],
    )
    assert parts.accuracy.item() == 1.0
    assert parts.identity.item() == pytest.approx(np.log1p(np.exp(-9.0)), rel=1e-3)
    assert parts.metric.item() == 2
    # of the six ordered pairs those of the stranger with both people differ by 1
    assert parts.teacher.item() == pytest.approx(4 / 6)
    assert parts.regression.item() == pytest.approx(1 / 3)
    expected = 2 * (parts.identity + parts.metric) + 3 * parts.teacher + 5 * parts.regression
    assert parts.total.item() == pytest.approx(expected.item())


def test_a_batch_of_strangers_is_learned_from_teachers() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    parts = reid_loss(
        [torch.zeros(2, 3)],
        [features],
        torch.tensor([-1, -1]),
        weights=LossWeights(teacher=1.0),
        teachers=[torch.tensor([[1.0, 0.0], [1.0, 0.0]])],
    )
    assert (parts.identity.item(), parts.metric.item(), parts.accuracy.item()) == (0, 0, 0)
    assert parts.total.item() == pytest.approx(1.0)
    parts.total.backward()
    assert features.grad is not None
    assert features.grad.abs().sum() > 0
