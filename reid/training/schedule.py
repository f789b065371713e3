"""Learning rate over training: linear warm-up, then cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupCosine:
    """Learning rate as a function of the epoch `t`, which may be a fraction.

    For t < warmup_epochs it rises linearly from `start_lr`; after that it is a cosine over all epochs from t = 0
    to `floor_lr`, as in TransReID's released training. Parameter groups with another base rate share
    `start_lr` and `floor_lr`.
    """

    epochs: float
    warmup_epochs: float
    start_lr: float
    floor_lr: float

    def lr(self, t: float, base_lr: float) -> float:
        """Learning rate at `t` in [0, epochs] of a group whose base rate is `base_lr`."""
        if t < self.warmup_epochs:
            return self.start_lr + t * (base_lr - self.start_lr) / self.warmup_epochs
        return self.floor_lr + 0.5 * (base_lr - self.floor_lr) * (1 + math.cos(math.pi * t / self.epochs))
