"""Training in several processes, one for each GPU, started by torchrun.

Each process computes the features of its share of every batch and then gathers those of all processes. Batch-hard
mining, necks and classifiers thus see the whole batch. Losses, gradients and batch normalisation statistics are
therefore the same as with one process, on CPU and GPUs, without synchronised batch normalisation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.core.errors import InputError
from reid.models.transreid import TransReID

# The other processes wait while the first one evaluates. No shorter limit is needed, because torchrun ends all
# processes when one dies.
_TIMEOUT = timedelta(days=1)

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of a run; without torchrun there is one.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process logs, evaluates and writes files; the others wait for it."""
        return self.rank == 0

    def share(self, batch: Sequence[T]) -> Sequence[T]:
        """Return this process' share of a batch whose length is divisible by `count`; shares are in rank order."""
        size = len(batch) // self.count
        return batch[self.rank * size : (self.rank + 1) * size]

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            dist.barrier()

    def from_first(self, value: T) -> T:
        """Return the `value` of the first process; those of the other processes are ignored."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]


#: A run without torchrun.
ONE_PROCESS = Processes()


@contextmanager
def joined_processes(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Join the processes that torchrun started; yields them and the device of this one.

    Raises:
        InputError: this machine has fewer GPUs than processes.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ONE_PROCESS, device
        return
    options: dict[str, Any] = {"backend": "gloo"}
    if device.type == "cuda":
        index = int(os.environ["LOCAL_RANK"])
        if index >= torch.cuda.device_count():
            raise InputError(
                f"torchrun started process {index} (from 0) on this machine, which has {torch.cuda.device_count()} "
                "GPUs; start as many processes as there are GPUs, or use --device cpu"
            )
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
        options = {"backend": "nccl", "device_id": device}
    dist.init_process_group(timeout=_TIMEOUT, **options)
    yield Processes(dist.get_rank(), dist.get_world_size()), device
    # Not after an error: NCCL would wait for the other processes, which wait for this one.
    dist.destroy_process_group()


class SharedBatchModel(nn.Module):
    """A TransReID in training mode for several processes, each with a share of the batch.

    It is called with this process' share and returns logits and features of the whole batch, shares in rank order.
    """

    def __init__(self, model: TransReID) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, cameras: Tensor, views: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return (logits, features) per head for the crops of all processes; see `TransReID.forward`."""
        own = self.model.features(images, cameras, views)
        gathered = cast(Tensor, _GatherShares.apply(torch.cat(own, dim=1)))
        features = list(gathered.chunk(len(own), dim=1))
        necks = self._apply_heads("bottleneck", features)
        return self._apply_heads("classifier", necks), features

    def _apply_heads(self, kind: Literal["bottleneck", "classifier"], features: list[Tensor]) -> list[Tensor]:
        names = self.model.head_names(kind)
        return [self.model.get_submodule(name)(x) for name, x in zip(names, features, strict=True)]


class _GatherShares(torch.autograd.Function):
    """Gathers (b, D) of each process to (count * b, D), the same in all processes."""

    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        share = share.contiguous()
        shares = [torch.empty_like(share) for _ in range(dist.get_world_size())]
        dist.all_gather(shares, share)
        return torch.cat(shares)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # Every process computes the loss of the whole batch, so each already has the gradient of its own share.
        # The parameter gradients are averaged over processes afterwards, but those of the shares must be summed.
        count = dist.get_world_size()
        return gradients[0].chunk(count)[dist.get_rank()] * count


def shared_batch_model(model: TransReID, device: torch.device) -> nn.Module:
    """Wrap `model` for a share of each batch: all processes start with the weights of the first one and average their
    gradients."""
    return DistributedDataParallel(
        SharedBatchModel(model),
        device_ids=[device.index] if device.type == "cuda" else None,
    )
