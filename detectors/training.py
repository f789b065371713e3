"""Fine-tune a YOLO detector to one class with Ultralytics' trainer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from detectors.single_class import keep_class, save_for_inference
from detectors.ultralytics_import import import_ultralytics
from detectors.yolo import load_model
from detectors.yolo_dataset import count_pictures, require_class
from pipeline.core.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """How to fine-tune; the defaults are for little data, and change a COCO model only a little.

    Attributes:
        epochs: passes over the training pictures; the weights after the last are the result, none are selected.
        image_size_px: longer side of the network's input.
        batch: pictures a step.
        learning_rate: of AdamW, at the start; it falls to a tenth on a cosine.
        freeze: so many of the first layers stay as they are (10: all of the backbone but its last two).
        mosaic: share of training pictures that are put together from four; none in the last quarter.
        device: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.
        workers: processes that load pictures; 0 loads them in the training process.
        seed: of everything that is drawn.
    """

    epochs: int = 20
    image_size_px: int = 640
    batch: int = 8
    learning_rate: float = 1e-4
    freeze: int = 10
    mosaic: float = 0.5
    device: str = "auto"
    workers: int = 0
    seed: int = 0


def train(
    data: Path, weights: str, output: Path, *, class_name: str = "person", settings: TrainingSettings | None = None
) -> Path:
    """Reduce a checkpoint to one class and fine-tune it, with the means and variances of its batch normalisation.

    Args:
        data: data.yaml of a set in YOLO layout with one class, as `detectors.dataset` builds.
        weights: an Ultralytics .pt checkpoint or the name of one that Ultralytics downloads.
        output: folder for the result and Ultralytics' records of the run.

    Returns:
        The result, `output`/{class_name}_{name of the weights}.pt: half precision, for inference only.

    Raises:
        InputError: data or weights are missing, the data has other classes, no picture is there to train on, or the
            weights do not know the class.
    """
    settings = settings or TrainingSettings()
    require_class(data, class_name)
    if count_pictures(data, "train") == 0:
        raise InputError(f"{data} has no training pictures: build the set with a train share above 0")
    model = _load(weights)
    _reduce(model, class_name)

    from ultralytics.models.yolo.detect import DetectionTrainer

    class FineTuner(DetectionTrainer):
        """Trains the model that it is given: Ultralytics would build a new one and copy what fits, and the
        single-class head does not (see `keep_class`)."""

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            return weights

        def validate(self) -> tuple[dict[str, float], float]:
            """Nothing is chosen by the validation pictures, so they are not looked at."""
            return {}, 0.0

        def final_eval(self) -> None:
            """The result is measured by whoever wants to know, as it will be used."""

    output.mkdir(parents=True, exist_ok=True)
    model.add_callback("on_train_batch_start", _keep_batch_statistics)
    with _progress_on():
        model.train(
            trainer=FineTuner,
            data=str(data),
            project=str(output.resolve()),
            name="ultralytics",
            exist_ok=True,
            epochs=settings.epochs,
            imgsz=settings.image_size_px,
            batch=settings.batch,
            nbs=settings.batch,  # Ultralytics would add up gradients to 64 pictures: one step an epoch on little data
            optimizer="AdamW",
            lr0=settings.learning_rate,
            lrf=0.1,
            cos_lr=True,
            warmup_epochs=1.0,
            warmup_bias_lr=settings.learning_rate,
            weight_decay=0.0005,
            freeze=settings.freeze,
            mosaic=settings.mosaic,
            close_mosaic=max(settings.epochs // 4, 1),
            device=None if settings.device == "auto" else settings.device,
            workers=settings.workers,
            seed=settings.seed,
            deterministic=True,
            val=False,
            split="train",  # a loader is built for it all the same, and there may be no other pictures
            plots=False,
            verbose=False,
        )
    trained = import_ultralytics().YOLO(str(output / "ultralytics" / "weights" / "last.pt"))
    result = output / f"{class_name}_{Path(weights).stem}.pt"
    save_for_inference(trained.model, result, image_size_px=settings.image_size_px)
    return result


def reduce(weights: str, output: Path, *, class_name: str = "person", image_size_px: int = 640) -> None:
    """Write the checkpoint `weights` reduced to one class, without any training, to `output`."""
    model = _load(weights)
    _reduce(model, class_name)
    save_for_inference(model.model, output, image_size_px=image_size_px)


def _load(weights: str) -> Any:
    """An Ultralytics model that can be trained."""
    if not weights.endswith(".pt"):
        raise InputError(f"{weights} is no .pt checkpoint; exported models cannot be trained or reduced")
    return load_model(weights)


def _reduce(model: Any, class_name: str) -> None:
    if list(model.names.values()) != [class_name]:
        keep_class(model.model, class_name)


def _keep_batch_statistics(trainer: Any) -> None:
    """Let the network normalise as it will when it is used.

    A few small batches estimate means and variances badly, and in a checkpoint whose batch normalisation was once
    folded into the convolutions the stored ones are no estimates at all: with those of the batches in their place
    such a model finds nobody any more.
    """
    for module in trainer.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@contextmanager
def _progress_on() -> Iterator[None]:
    """Let Ultralytics say how the training goes."""
    logger = logging.getLogger("ultralytics")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
