"""One training run: its state, its batches and epochs, and what it writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.core.errors import InputError, RunError
from reid.checkpoints import save_checkpoint
from reid.datasets import CropSet, ReidDataset, camera_indices, identities_digest, read_rgb, view_indices
from reid.loss_progress import loss_progress
from reid.model_header import UNKNOWN
from reid.models.transreid import TransReID
from reid.training.augmentation import BatchAugmentation
from reid.training.build import build_model
from reid.training.config import TrainingConfig
from reid.training.data import split
from reid.training.distributed import ONE_PROCESS, Processes, shared_batch_model
from reid.training.log import TrainingLog
from reid.training.losses import (
    LossWeights,
    batch_hard_triplet_loss,
    reid_loss,
    supervised_contrastive_loss,
)
from reid.training.measuring import epoch_line, measure
from reid.training.optimizer import (
    base_learning_rates,
    build_optimizer,
    freeze_first_blocks,
    freeze_stem,
    set_learning_rates,
    trainable_parameters,
)
from reid.training.pixels import decoded_crops
from reid.training.precision import autocast_dtype
from reid.training.sampler import SharedBatches
from reid.training.schedule import WarmupCosine
from reid.training.start import (
    IDENTITIES_KEY,
    IDENTITIES_OF_SETS_KEY,
    STANDARDISATION_CROPS,
    RowNames,
    is_backbone,
    standardise_features,
    start_from,
)
from reid.training.state import STATE_NAME, refuse_other_run, save_state
from reid.training.teacher import Teacher, teacher_features, teacher_states
from reid.training.transforms import EvaluationTransform

CHECKPOINT_NAME = "model.safetensors"
#: fp16's scaler halves its scale at each infinite gradient: after this many, finite gradients would underflow.
MOST_STEPS_SKIPPED_IN_A_ROW = 50
_SUMS = ("loss", "identity_loss", "metric_loss", "teacher_loss", "regression_loss", "accuracy")


class Trainer:
    """One run; all of its state is in `state_dict`. With several processes, each has its own trainer."""

    def __init__(
        self,
        config: TrainingConfig,
        datasets: Mapping[str, ReidDataset],
        folder: Path,
        device: torch.device,
        teachers: Sequence[Teacher] = (),
        *,
        left_out: Sequence[Path] = (),
        teacher_folder: Path | None = None,
        processes: Processes = ONE_PROCESS,
        console: Console | None = None,
    ) -> None:
        """
        Args:
            datasets: by the names of the configuration's `data.sets`; a single one by `ONLY_SET`.
            teachers: networks to learn from, see `reid.training.teacher`.
            left_out: image files to treat as if they did not exist.
            teacher_folder: where the features of the teachers are kept; None for the folder of the run.
            console: shows the progress of decoding the crops.

        Raises:
            InputError: `data.ids_per_batch` is not divisible by the number of processes, a file cannot be read, or
                as in `reid.training.data.split`.
        """
        self.config = config
        self.folder = folder
        self.device = device
        self.processes = processes
        self.left_out = tuple(left_out)
        self._roots = {name: dataset.root for name, dataset in datasets.items()}
        self.log = TrainingLog(folder)
        if config.data.ids_per_batch % processes.count:
            raise InputError(
                f"data.ids_per_batch {config.data.ids_per_batch} cannot be shared by {processes.count} processes: "
                "take a multiple"
            )
        self.parts = split(datasets, config, self.left_out)
        size_hw, mean, std = config.model.image_size_hw, config.model.mean, config.model.std
        self._evaluation_transform = EvaluationTransform(size_hw, mean, std)
        self._augmentation = BatchAugmentation(config.augmentation, mean, std)
        quiet = console if console is not None else Console(quiet=True, markup=False)
        if processes.is_first:
            decoded_crops(self.parts.train, size_hw, folder, quiet)
        processes.wait()
        self._pixels = decoded_crops(self.parts.train, size_hw, folder, quiet)
        self._camera_rows = np.array(camera_indices(self.parts.train, self.parts.cameras))
        self._view_rows = np.array(view_indices(self.parts.train, self.parts.views))
        sampler = SharedBatches(
            self.parts,
            crops_per_id=config.data.crops_per_id,
            seed=config.run.seed,
            batches_per_epoch=config.schedule.batches_per_epoch,
        )
        self._labels = torch.tensor(self.parts.labels)
        # (batches, B) crop indices of each epoch; as lists, 113,000 crops in 120 epochs would take half a gigabyte
        self._batches = [np.array(sampler.batches(epoch), np.int32) for epoch in range(config.schedule.epochs)]

        torch.manual_seed(config.run.seed)
        self.model = build_model(
            config,
            cameras=len(self.parts.cameras),
            views=len(self.parts.views),
            identities=max(1, len(self.parts.known.person_ids)),
        ).to(device)
        freeze_first_blocks(self.model, config.optimizer.frozen_blocks)
        freeze_stem(self.model, config.optimizer.frozen_stem_stages)
        self._teachers = [
            torch.from_numpy(features) for features in self._features_of(teachers, teacher_folder or folder)
        ]
        self._teacher_states = teacher_states(teachers)
        # one linear layer per teacher that predicts its features; part of the training, not of the model
        self._regressions = nn.ModuleList(
            nn.Linear(self.model.config.width, features.shape[1])
            for features in (self._teachers if config.loss.regression_weight else ())
        ).to(device)
        self._ema = (
            None
            if config.run.ema_decay is None
            else AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.run.ema_decay))  # type: ignore[no-untyped-call]
        )
        self._optimizer = build_optimizer(self.model, config.optimizer, new=self._regressions)
        self._metric_loss = (
            batch_hard_triplet_loss
            if config.loss.metric == "triplet"
            else partial(supervised_contrastive_loss, temperature=config.loss.temperature)
        )
        self._schedule = WarmupCosine(
            epochs=config.schedule.epochs,
            warmup_epochs=config.schedule.warmup_epochs,
            start_lr=config.schedule.start_factor * config.optimizer.lr,
            floor_lr=config.schedule.floor_factor * config.optimizer.lr,
        )
        self._autocast = autocast_dtype(device, config.run.precision)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._autocast is torch.float16)
        self._epoch = 0
        self._step = 0  # batches done in this epoch
        self._sums = dict.fromkeys(_SUMS, 0.0)  # over those batches
        self._skipped = 0  # steps that fp16's scaler skipped
        self._skipped_in_a_row = 0
        self._seconds = {"pictures": 0.0, "batches": 0.0}  # in this epoch, since the start or since resuming

    def _features_of(self, teachers: Sequence[Teacher], folder: Path) -> list[NDArray[np.float32]]:
        def features(teacher: Teacher) -> NDArray[np.float32]:
            sets = [CropSet(self.parts.train.crops[part.rows.start : part.rows.stop]) for part in self.parts.sets]
            return np.concatenate([teacher_features(teacher, crops, folder) for crops in sets])

        if self.processes.is_first:
            for teacher in teachers:
                features(teacher)
        self.processes.wait()
        return [features(teacher) for teacher in teachers]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the model's camera rows."""
        return self.parts.cameras if self.model.config.cameras else ()

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the model's view rows."""
        return self.parts.views if self.model.config.views else ()

    @property
    def identities(self) -> str:
        """Digest of the identities of the classifiers' rows."""
        return identities_digest(self.parts.known.person_ids)

    @property
    def result(self) -> TransReID:
        """The model to evaluate and to save: the moving average if there is one."""
        if self._ema is None:
            return self.model
        return cast(TransReID, self._ema.module)

    @property
    def iterations(self) -> int:
        """Number of batches of the whole run."""
        return sum(len(batches) for batches in self._batches)

    @property
    def iteration(self) -> int:
        """Number of batches done."""
        return sum(len(batches) for batches in self._batches[: self._epoch]) + self._step

    def start_from(self, source: str | Path) -> list[str]:
        """Load initial weights (see `reid.training.start`); return what was done, one sentence each."""
        names = RowNames(self.cameras, self.views, self.identities)
        report = start_from(self.model, source, names, new_side_information=self.config.start.side_information)
        if self.config.start.standardise_features and is_backbone(source):
            rng = np.random.default_rng(self.config.run.seed)
            chosen = rng.permutation(len(self.parts.train))[:STANDARDISATION_CROPS]
            paths = [self.parts.train.crops[i].path for i in chosen]
            images = torch.stack([self._evaluation_transform(read_rgb(path)) for path in paths])
            standardise_features(self.model, images.to(self.device))
            report.append(f"standardised the features of {len(images)} training crops")
        if self._ema is not None:
            self._ema.module.load_state_dict(self.model.state_dict())
        return report

    def state_dict(self) -> dict[str, Any]:
        """Return everything that `load_state_dict` needs to continue exactly.

        Random numbers need no state: they are derived from the seed and the number of the batch. Nothing depends on
        the number of processes.
        """
        return {
            "config": self.config.model_dump(mode="json"),
            "precision": self.precision,
            "crops": self.parts.digest,
            "teachers": self._teacher_states,
            "left_out": [self._name_of(path) for path in self.left_out],
            "model": self.model.state_dict(),
            "regressions": self._regressions.state_dict(),
            "ema": None if self._ema is None else self._ema.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "epoch": self._epoch,
            "step": self._step,
            "sums": self._sums,
            "skipped": [self._skipped, self._skipped_in_a_row],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            InputError: the state belongs to another configuration or to other crops, or to a machine on which
                `run.precision: auto` means another precision.
        """
        refuse_other_run(
            state,
            self.folder / STATE_NAME,
            self.config,
            precision=self.precision,
            crops=self.parts.digest,
            number=len(self.parts.train),
        )
        self.model.load_state_dict(state["model"])
        self._regressions.load_state_dict(state["regressions"])
        if self._ema is not None:
            self._ema.load_state_dict(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._epoch, self._step, self._sums = state["epoch"], state["step"], dict(state["sums"])
        self._skipped, self._skipped_in_a_row = state.get("skipped", (0, 0))

    def _name_of(self, path: Path) -> str:
        """Return NAME:PATH of an image below the folder of data set NAME."""
        for name, root in self._roots.items():
            if path.is_relative_to(root):
                return f"{name}:{path.relative_to(root).as_posix()}"
        raise ValueError(f"{path} is below none of the folders {self._roots}")

    @property
    def precision(self) -> str:
        """Number format of the forward pass: fp32, bf16 or fp16."""
        return {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self._autocast]

    @property
    def epoch(self) -> int:
        """Number of complete epochs done."""
        return self._epoch

    def save(self) -> None:
        """Write the state from which a killed run resumes."""
        save_state(self.folder, self.state_dict())

    def run(self, console: Console, on_iteration: Callable[[int], None] = lambda iteration: None) -> None:
        """Train to the end of the last epoch.

        Args:
            console: shows the progress.
            on_iteration: called after every batch with the number of batches done; may raise to stop the run.
        """
        network = self.model if self.processes.count == 1 else shared_batch_model(self.model, self.device)
        with loss_progress("epoch {task.fields[epoch]}", console) as progress:
            task = progress.add_task("", total=self.iterations, completed=self.iteration, epoch=0, loss=0.0)
            began_s, began_at = time.monotonic(), self.iteration
            while self._epoch < self.config.schedule.epochs:
                while self._step < len(self._batches[self._epoch]):
                    began_batch_s = time.perf_counter()
                    batch = self._next_batch()
                    made_s = time.perf_counter()
                    losses = self._train_batch(network, *batch)
                    self._seconds["pictures"] += made_s - began_batch_s
                    self._seconds["batches"] += time.perf_counter() - began_batch_s
                    done = self.iteration
                    left_s = (time.monotonic() - began_s) / (done - began_at) * (self.iterations - done)
                    progress.update(task, completed=done, epoch=self._epoch + 1, loss=losses["loss"])
                    if self.processes.is_first:
                        self._after_batch(losses, left_s)
                    on_iteration(done)
                entry = self._finish_epoch()
                console.print(epoch_line(entry, self.config.schedule.epochs))
                self.processes.wait()

    def _after_batch(self, losses: dict[str, float], left_s: float) -> None:
        if self.iteration % self.config.run.log_every_iterations == 0:
            self._log_iteration(losses, left_s)
        if self.iteration % self.config.run.checkpoint_every_iterations == 0:
            self.save()

    def _next_batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, camera rows and view rows of this process' share of the next batch.

        Every process augments the whole batch, because a strip of one crop may cover another.
        """
        rows = self._batches[self._epoch][self._step]
        rng = np.random.default_rng([self.config.run.seed, self._epoch, self._step])
        dropped = rng.random(len(rows)) < self.config.data.camera_dropout
        cameras = np.where(dropped, UNKNOWN, self._camera_rows[rows])
        crops = torch.from_numpy(self._pixels[rows]).to(self.device)
        images = self._augmentation(crops, rng)
        share = slice(
            *(len(rows) * part // self.processes.count for part in (self.processes.rank, self.processes.rank + 1))
        )
        camera_rows, view_rows = (
            torch.from_numpy(x[share]).to(self.device) for x in (cameras, self._view_rows[rows])
        )
        return images[share], camera_rows, view_rows

    def _train_batch(self, network: nn.Module, images: Tensor, cameras: Tensor, views: Tensor) -> dict[str, float]:
        """Run one step on this process' share of images, cameras and views; return the losses of the whole batch."""
        self._prepare_batch()
        batch = torch.from_numpy(self._batches[self._epoch][self._step]).long()
        labels = self._labels[batch].to(self.device)
        with torch.autocast(self.device.type, self._autocast, enabled=self._autocast is not None):
            logits, features = network(images, cameras, views)
        loss = self.config.loss
        parts = reid_loss(
            logits,
            features,
            labels,
            weights=LossWeights(loss.identity_weight, loss.teacher_weight, loss.regression_weight),
            label_smoothing=loss.label_smoothing,
            metric_loss=self._metric_loss,
            teachers=[teacher[batch].to(self.device) for teacher in self._teachers],
            regressions=[regression(features[0].float()) for regression in self._regressions],
        )
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(parts.total).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        gradient_norm = torch.nn.utils.clip_grad_norm_(
            [*trainable_parameters(self.model), *self._regressions.parameters()],
            self.config.optimizer.clip_norm or float("inf"),
        )
        values = (parts.total, parts.identity, parts.metric, parts.teacher, parts.regression, parts.accuracy)
        losses = dict(zip(_SUMS, (x.item() for x in values), strict=True))
        self._refuse_divergence(losses["loss"], gradient_norm.item())
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._ema is not None:
            self._ema.update_parameters(self.model)
            # statistics of the necks are already running means
            for kept, current in zip(self._ema.module.buffers(), self.model.buffers(), strict=True):
                kept.copy_(current)
        self._step += 1
        self._sums = {name: self._sums[name] + losses[name] for name in _SUMS}
        return losses

    def _prepare_batch(self) -> None:
        """Set learning rates and random seed (for drop path) of the next batch."""
        numbers = [self.config.run.seed, self._epoch, self._step]
        if not self.processes.is_first:
            numbers.append(self.processes.rank)
        torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
        steps = len(self._batches[self._epoch])
        fraction = self._step / steps if self.config.schedule.step == "iteration" else 1.0
        rates = {
            base: self._schedule.lr(self._epoch + fraction, base) for base in base_learning_rates(self._optimizer)
        }
        set_learning_rates(self._optimizer, rates)
        self.model.train()

    def _refuse_divergence(self, loss: float, gradient_norm: float) -> None:
        """Raise RunError if the run diverged, before the weights change.

        fp16's scaler skips steps with infinite gradients and lowers its scale; only many of them in a row are an
        error.
        """
        skipped = self._scaler.is_enabled() and not np.isfinite(gradient_norm)
        self._skipped += skipped
        self._skipped_in_a_row = self._skipped_in_a_row + 1 if skipped else 0
        if not np.isfinite(loss):
            what = f"the loss became {loss}"
        elif self._skipped_in_a_row >= MOST_STEPS_SKIPPED_IN_A_ROW:
            what = f"the gradient overflowed fp16 {self._skipped_in_a_row} times in a row, last"
        elif skipped or np.isfinite(gradient_norm):
            return
        else:
            what = f"the gradient became {gradient_norm}"
        kept = self.folder / STATE_NAME
        raise RunError(
            f"{what} in batch {self.iteration + 1} (epoch {self._epoch + 1}): the run diverged. Lower optimizer.lr, "
            "set optimizer.clip_norm, or compute in fp32, and start a new run"
            + (f"; {kept} holds the last state before" if kept.exists() else "")
        )

    def _finish_epoch(self) -> dict[str, Any]:
        steps = self._step
        iteration = self.iteration
        entry: dict[str, Any] = {"kind": "epoch", "iteration": iteration, "epoch": self._epoch + 1}
        entry |= {name: self._sums[name] / steps for name in _SUMS}
        entry |= self._skipped_entry()
        entry["network_share"] = 1 - self._seconds["pictures"] / max(self._seconds["batches"], 1e-9)
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        last = entry["epoch"] == self.config.schedule.epochs
        evaluated = last or entry["epoch"] % self.config.run.evaluate_every_epochs == 0
        if evaluated and self.processes.is_first:
            entry |= self.evaluate()
            self.save_result()
        self._epoch, self._step, self._sums = self._epoch + 1, 0, dict.fromkeys(_SUMS, 0.0)
        if self.processes.is_first:
            self.log.append(entry)
            if evaluated:
                self.log.plot()
            self.save()
        return entry

    def evaluate(self) -> dict[str, Any]:
        """Return retrieval metrics on the evaluation parts; see `reid.training.measuring.measure`."""
        return measure(
            self.result,
            self.parts,
            self._evaluation_transform,
            cameras=self.cameras,
            views=self.views,
            device=self.device,
            batch_size=self.config.run.evaluation_batch,
            workers=self.config.data.workers,
        )

    def save_result(self) -> None:
        """Write the checkpoint, for export or further training."""
        save_checkpoint(
            self.folder / CHECKPOINT_NAME,
            self.result,
            camera_names=self.cameras,
            view_names=self.views,
            input_mean=self.config.model.mean,
            input_std=self.config.model.std,
            card={
                IDENTITIES_KEY: self.identities,
                IDENTITIES_OF_SETS_KEY: {part.name: part.identities_digest for part in self.parts.sets},
            },
            inference_only=False,
        )

    def _skipped_entry(self) -> dict[str, int]:
        """Return the log entry with the steps skipped so far in the whole run; empty if not in fp16."""
        return {"skipped_steps": self._skipped} if self._scaler.is_enabled() else {}

    def _log_iteration(self, losses: dict[str, float], left_s: float) -> None:
        lr = max(group["lr"] for group in self._optimizer.param_groups)
        self.log.append(
            {
                "kind": "iteration",
                "iteration": self.iteration,
                "epoch": self._epoch + 1,
                **losses,
                "lr": lr,
                **self._skipped_entry(),
                "left_s": round(left_s),
            }
        )
