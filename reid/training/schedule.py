"""Learning rate over training: linear warm-up, then cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupCosine:
    """Learning rate as a function of the epoch `t`, which may be a fraction.

    For t < warmup_epochs it rises linearly from `start_lr`. After that it follows a cosine that starts at t = 0 and
    ends at `floor_lr` in the last epoch, as in TransReID's released training. Parameter groups with another base rate
    share `start_lr` and `floor_lr`.
    """

    epochs: float
    warmup_epochs: float
    start_lr: float
    floor_lr: float

    def lr(self, t: float, base_lr: float) -> float:
        """Return the learning rate at `t` in [0, epochs] for a group whose base rate is `base_lr`."""
        if t < self.warmup_epochs:
            return self.start_lr + t * (base_lr - self.start_lr) / self.warmup_epochs
        return self.floor_lr + 0.5 * (base_lr - self.floor_lr) * (1 + math.cos(math.pi * t / self.epochs))
