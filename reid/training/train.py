"""Training a TransReID: configuration and data set in, checkpoint, log and plot out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from pipeline.errors import InputError
from reid.checkpoints import save_checkpoint
from reid.datasets import CropSet, ReidDataset, camera_indices, hold_out_identities, read_dataset, read_rgb
from reid.features import evaluate_model
from reid.models.transreid import TransReID, TransReIDConfig, architecture
from reid.training.config import TrainingConfig
from reid.training.log import TrainingLog
from reid.training.losses import batch_hard_triplet_loss, reid_loss, supervised_contrastive_loss
from reid.training.optimizer import (
    base_learning_rates,
    build_optimizer,
    freeze_first_blocks,
    set_learning_rates,
    trainable_parameters,
)
from reid.training.precision import autocast_dtype
from reid.training.sampler import PKSampler
from reid.training.schedule import WarmupCosine
from reid.training.start import (
    STANDARDISATION_CROPS,
    is_own_checkpoint,
    standardise_features,
    start_from,
)
from reid.training.state import STATE_NAME, load_state, save_state
from reid.training.teacher import teacher_features
from reid.training.transforms import EvaluationTransform, TrainingTransform

CHECKPOINT_NAME = "model.safetensors"
_SUMS = ("loss", "identity_loss", "metric_loss", "teacher_loss", "accuracy")


@dataclass(frozen=True)
class SampleKey:
    """Which crop a sample is made from, and the numbers its randomness comes from."""

    crop: int
    seed: tuple[int, ...]


class TrainingCrops(Dataset[tuple[Tensor, int, int, int]]):
    """Augmented crops as (image (3, H, W), class index, camera row or -1, index of the crop)."""

    def __init__(
        self, crops: CropSet, cameras: Sequence[str], transform: TrainingTransform, camera_dropout: float
    ) -> None:
        self._crops = crops
        self._transform = transform
        self._camera_dropout = camera_dropout
        self._camera_rows = camera_indices(crops, cameras)
        class_of = {person_id: i for i, person_id in enumerate(crops.person_ids)}
        self.labels = [class_of[crop.person_id] for crop in crops.crops]

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, int, int, int]:
        rng = np.random.default_rng(key.seed)
        camera = -1 if rng.random() < self._camera_dropout else self._camera_rows[key.crop]
        image = read_rgb(self._crops.crops[key.crop].path)
        return self._transform(image, rng), self.labels[key.crop], camera, key.crop


@dataclass(frozen=True)
class Parts:
    """The crops of a run: what it learns from and what its progress is measured on."""

    train: CropSet
    query: CropSet
    gallery: CropSet


def split(dataset: ReidDataset, config: TrainingConfig) -> Parts:
    """Hold the development identities out of the training part.

    Raises:
        InputError: too few identities, or none held out where the data set has no test part of its own.
    """
    held_out = config.data.development_ids
    identities = len(dataset.train.person_ids)
    if identities - held_out < config.data.ids_per_batch:
        raise InputError(
            f"the data set has {identities} identities in its training part; data.development_ids {held_out} and "
            f"data.ids_per_batch {config.data.ids_per_batch} together need more"
        )
    if held_out:
        train, development = hold_out_identities(dataset.train, held_out)
        return Parts(train, development, development)
    if dataset.query is dataset.train:
        raise InputError(
            "data.development_ids is 0, but a plain folder has no test part of its own: hold some identities out"
        )
    return Parts(dataset.train, dataset.query, dataset.gallery)


def build_model(config: TrainingConfig, *, cameras: int, identities: int) -> TransReID:
    """The network of `config`, newly initialised."""
    switches = config.model
    with_cameras = switches.camera_embedding
    backbone = (
        architecture(switches.architecture)
        if isinstance(switches.architecture, str)
        else TransReIDConfig(**switches.architecture.model_dump())
    )
    model_config = replace(
        backbone,
        image_size=switches.image_size_hw,
        stride=switches.stride_px,
        cameras=cameras if with_cameras else 0,
        sie_coefficient=switches.sie_coefficient,
        unknown_row=with_cameras and switches.unknown_camera_row,
        jpm=switches.jigsaw,
        shift=switches.shift,
        num_classes=identities,
        drop_path=switches.drop_path,
    )
    return TransReID(model_config)


class Trainer:
    """One run; all of its state is in `state_dict`."""

    def __init__(
        self,
        config: TrainingConfig,
        dataset: ReidDataset,
        folder: Path,
        device: torch.device,
        teacher: Path | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.device = device
        self.log = TrainingLog(folder)
        self.parts = split(dataset, config)
        self.cameras = dataset.train.cameras
        size_hw, mean, std = config.model.image_size_hw, config.model.mean, config.model.std
        self._evaluation_transform = EvaluationTransform(size_hw, mean, std)
        self._crops = TrainingCrops(
            self.parts.train,
            self.cameras,
            TrainingTransform(size_hw, mean, std, config.augmentation),
            config.data.camera_dropout,
        )
        sampler = PKSampler(
            self._crops.labels,
            ids_per_batch=config.data.ids_per_batch,
            crops_per_id=config.data.crops_per_id,
            seed=config.run.seed,
        )
        self._batches = [sampler.batches(epoch) for epoch in range(config.schedule.epochs)]

        torch.manual_seed(config.run.seed)
        identities = len(self.parts.train.person_ids)
        self.model = build_model(config, cameras=len(self.cameras), identities=identities).to(device)
        freeze_first_blocks(self.model, config.optimizer.frozen_blocks)
        self._ema = (
            None
            if config.run.ema_decay is None
            else AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.run.ema_decay))  # type: ignore[no-untyped-call]
        )
        self._optimizer = build_optimizer(self.model, config.optimizer)
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
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=self._autocast is torch.float16 and device.type == "cuda"
        )
        self._teacher: Tensor | None = None
        if teacher is not None:
            cache = folder / "teacher.npy"
            self._teacher = torch.from_numpy(teacher_features(teacher, self.parts.train, cache))
        self._epoch = 0
        self._step = 0  # batches of this epoch that are done
        self._sums = dict.fromkeys(_SUMS, 0.0)  # over those batches

    @property
    def result(self) -> TransReID:
        """The model to evaluate and to keep: the moving average where there is one."""
        if self._ema is None:
            return self.model
        return cast(TransReID, self._ema.module)

    @property
    def iterations(self) -> int:
        """Batches of the whole run."""
        return sum(len(batches) for batches in self._batches)

    @property
    def iteration(self) -> int:
        """Batches that are done."""
        return sum(len(batches) for batches in self._batches[: self._epoch]) + self._step

    def start_from(self, path: Path) -> list[str]:
        """Take the weights in `path` to begin with; returns what was taken."""
        report = start_from(self.model, path)
        if self.config.start.standardise_features and not is_own_checkpoint(path):
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
        """Everything that `load_state_dict` needs to go on as if nothing had happened.

        Random numbers need no state: they are derived from the seed and the number of the batch.
        """
        return {
            "config": self.config.model_dump(mode="json"),
            "model": self.model.state_dict(),
            "ema": None if self._ema is None else self._ema.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "epoch": self._epoch,
            "step": self._step,
            "sums": self._sums,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            InputError: it belongs to another configuration.
        """
        ours = self.config.model_dump(mode="json")
        if state["config"] != ours:
            changed = [
                f"{section}.{key}"
                for section, values in ours.items()
                for key, value in values.items()
                if state["config"].get(section, {}).get(key) != value
            ]
            raise InputError(
                f"{self.folder / STATE_NAME} belongs to a run with another configuration ({', '.join(changed)}); "
                "resume with its own configuration, or start anew in another folder"
            )
        self.model.load_state_dict(state["model"])
        if self._ema is not None:
            self._ema.load_state_dict(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._epoch, self._step, self._sums = state["epoch"], state["step"], dict(state["sums"])

    def save(self) -> None:
        """Write the state, from which a killed run resumes."""
        save_state(self.folder, self.state_dict())

    def resume(self) -> None:
        """Go on from the state in the folder."""
        self.load_state_dict(load_state(self.folder, self.device))
        self.log.cut_after(iteration=self.iteration, epoch=self._epoch)

    def run(self, console: Console, on_iteration: Callable[[int], None] = lambda iteration: None) -> None:
        """Train to the end of the last epoch.

        Args:
            console: where progress is shown.
            on_iteration: called after every batch with the number of batches done; may raise to stop the run.
        """
        with Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            task = progress.add_task("", total=self.iterations, completed=self.iteration, epoch=0, loss=0.0)
            began_s, began_at = time.monotonic(), self.iteration
            while self._epoch < self.config.schedule.epochs:
                for images, labels, cameras, crops in self._loader():
                    losses = self._train_batch(images, labels, cameras, crops)
                    done = self.iteration
                    left_s = (time.monotonic() - began_s) / (done - began_at) * (self.iterations - done)
                    progress.update(task, completed=done, epoch=self._epoch + 1, loss=losses["loss"])
                    if done % self.config.run.log_every_iterations == 0:
                        self._log_iteration(losses, left_s)
                    if done % self.config.run.checkpoint_every_iterations == 0:
                        self.save()
                    on_iteration(done)
                entry = self._finish_epoch()
                console.print(_epoch_line(entry, self.config.schedule.epochs))

    def _loader(self) -> DataLoader[tuple[Tensor, int, int, int]]:
        """The batches of the current epoch that are not done yet."""
        keys = [
            [SampleKey(crop, (self.config.run.seed, self._epoch, step, i)) for i, crop in enumerate(batch)]
            for step, batch in enumerate(self._batches[self._epoch])
        ]
        workers = self.config.data.workers
        return DataLoader(
            self._crops,
            batch_sampler=keys[self._step :],
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
        )

    def _train_batch(self, images: Tensor, labels: Tensor, cameras: Tensor, crops: Tensor) -> dict[str, float]:
        seed = np.random.SeedSequence([self.config.run.seed, self._epoch, self._step])
        torch.manual_seed(int(seed.generate_state(1)[0]))  # drop path
        steps = len(self._batches[self._epoch])
        fraction = self._step / steps if self.config.schedule.step == "iteration" else 1.0
        set_learning_rates(
            self._optimizer,
            {
                base: self._schedule.lr(self._epoch + fraction, base)
                for base in base_learning_rates(self._optimizer)
            },
        )
        self.model.train()
        images, labels, cameras = (x.to(self.device, non_blocking=True) for x in (images, labels, cameras))
        with torch.autocast(self.device.type, self._autocast, enabled=self._autocast is not None):
            logits, features = self.model(images, cameras=cameras)
        parts = reid_loss(
            logits,
            features,
            labels,
            label_smoothing=self.config.loss.label_smoothing,
            metric_loss=self._metric_loss,
            teacher=None if self._teacher is None else self._teacher[crops].to(self.device),
            teacher_weight=self.config.loss.teacher_weight,
        )
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(parts.total).backward()  # type: ignore[no-untyped-call]
        if self.config.optimizer.clip_norm is not None:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(trainable_parameters(self.model), self.config.optimizer.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._ema is not None:
            self._ema.update_parameters(self.model)
        self._step += 1
        losses = dict(
            zip(
                _SUMS,
                (x.item() for x in (parts.total, parts.identity, parts.metric, parts.teacher, parts.accuracy)),
                strict=True,
            )
        )
        if not np.isfinite(losses["loss"]):
            raise InputError(
                f"the loss became {losses['loss']} in batch {self.iteration}; lower optimizer.lr, set "
                f"optimizer.clip_norm, or compute in fp32"
            )
        self._sums = {name: self._sums[name] + losses[name] for name in _SUMS}
        return losses

    def _finish_epoch(self) -> dict[str, Any]:
        steps = self._step
        iteration = self.iteration
        entry: dict[str, Any] = {"kind": "epoch", "iteration": iteration, "epoch": self._epoch + 1}
        entry |= {name: self._sums[name] / steps for name in _SUMS}
        last = entry["epoch"] == self.config.schedule.epochs
        evaluated = last or entry["epoch"] % self.config.run.evaluate_every_epochs == 0
        if evaluated:
            entry |= self.evaluate()
            self.save_result()
        self._epoch, self._step, self._sums = self._epoch + 1, 0, dict.fromkeys(_SUMS, 0.0)
        self.log.append(entry)
        if evaluated:
            self.log.plot()
        self.save()
        return entry

    def evaluate(self) -> dict[str, Any]:
        """Retrieval figures on the development part, with camera rows and with the unknown row."""
        ways: dict[str, Sequence[str] | None] = {}
        config = self.model.config
        if config.cameras:
            ways["known_cameras"] = self.cameras
        if config.unknown_row or not config.cameras:
            ways["unknown_cameras"] = None
        return {
            name: evaluate_model(
                self.result,
                self.parts.query,
                self.parts.gallery,
                self._evaluation_transform,
                cameras=cameras,
                device=self.device,
                batch_size=self.config.run.evaluation_batch,
                workers=self.config.data.workers,
            ).to_dict()
            for name, cameras in ways.items()
        }

    def save_result(self) -> None:
        """Write the checkpoint to train on from or to export."""
        save_checkpoint(
            self.folder / CHECKPOINT_NAME,
            self.result,
            camera_names=self.cameras if self.model.config.cameras else (),
            input_mean=self.config.model.mean,
            input_std=self.config.model.std,
            inference_only=False,
        )

    def _log_iteration(self, losses: dict[str, float], left_s: float) -> None:
        lr = max(group["lr"] for group in self._optimizer.param_groups)
        self.log.append(
            {
                "kind": "iteration",
                "iteration": self.iteration,
                "epoch": self._epoch + 1,
                **losses,
                "lr": lr,
                "left_s": round(left_s),
            }
        )


def train(
    config: TrainingConfig,
    *,
    data: Path,
    folder: Path,
    init: Path | None = None,
    teacher: Path | None = None,
    resume: bool = False,
    device: torch.device,
    console: Console,
    on_iteration: Callable[[int], None] = lambda iteration: None,
) -> Trainer:
    """Train as `config` says on the data set at `data`; everything is written to `folder`.

    Args:
        init: weights to start from, see `reid.training.start`; None for random ones.
        teacher: network whose similarities are matched, see `reid.training.teacher`; None for no teacher.
        resume: go on from the state in `folder`; `init` is then not read.
        on_iteration: see `Trainer.run`.

    Raises:
        InputError: what a user can mend in configuration, data, weights or folder.
    """
    has_state = (folder / STATE_NAME).exists()
    if resume and not has_state:
        raise InputError(f"{folder}: nothing to resume, there is no {STATE_NAME}; start without --resume")
    if has_state and not resume:
        raise InputError(f"{folder}: already holds a run; continue it with --resume or name another folder")
    dataset = read_dataset(data, config.data.layout)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, dataset, folder, device, teacher)
    console.print(
        f"{len(trainer.parts.train)} crops of {len(trainer.parts.train.person_ids)} people from "
        f"{len(trainer.cameras)} cameras; {trainer.iterations} batches in {config.schedule.epochs} epochs"
    )
    if resume:
        trainer.resume()
        console.print(f"resumed after batch {trainer.iteration}")
    elif init is not None:
        for line in trainer.start_from(init):
            console.print(line)
    trainer.run(console, on_iteration)
    return trainer


def _epoch_line(entry: dict[str, Any], epochs: int) -> str:
    line = f"epoch {entry['epoch']}/{epochs}: loss {entry['loss']:.3f}, accuracy {entry['accuracy']:.1%}"
    for key in ("known_cameras", "unknown_cameras"):
        if key in entry:
            figures = entry[key]
            line += f"; {key.replace('_', ' ')} mAP {figures['mAP']:.1%}, rank-1 {figures['rank1']:.1%}"
    return line
