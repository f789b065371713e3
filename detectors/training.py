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
from detectors.ultralytics_network import load_model, selected_device
from detectors.yolo_dataset import count_pictures, require_class
from pipeline.core.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """How to fine-tune; the defaults are for small data sets and change a COCO model only a little.

    Attributes:
        epochs: passes over the training pictures; the result is the weights after the last epoch, without selection.
        image_size_px: longer side of the network's input.
        batch: pictures per step.
        learning_rate: initial learning rate of AdamW; it falls to a tenth along a cosine.
        freeze: number of first layers that are frozen (10: all of the backbone except its last two).
        mosaic: share of training pictures that are composed of four; 0 in the last quarter of the epochs.
        device: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.
        workers: processes that load pictures; 0 loads them in the training process.
        seed: seed of all random numbers.
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
    """Reduce a checkpoint to one class and fine-tune it, keeping the means and variances of its batch normalisation.

    Args:
        data: data.yaml of a data set in YOLO layout with one class, as `detectors.dataset` builds.
        weights: an Ultralytics .pt checkpoint or the name of one that Ultralytics downloads.
        output: folder for the result and Ultralytics' records of the run.

    Returns:
        The path of the result, `output`/{class_name}_{name of the weights}.pt: half precision, for inference only.

    Raises:
        InputError: data or weights are missing, the data has other classes or no training pictures, or the model does
            not have the class.
    """
    settings = settings or TrainingSettings()
    require_class(data, class_name)
    if count_pictures(data, "train") == 0:
        raise InputError(f"{data} has no training pictures: build the set with a train share above 0")
    model = _load(weights)
    _reduce(model, class_name)

    from ultralytics.models.yolo.detect import DetectionTrainer

    class FineTuner(DetectionTrainer):
        """Trains the given model itself. Ultralytics would build a new one and copy the weights that fit it, but those
        of the single-class head do not fit (see `keep_class`)."""

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            return weights

        def validate(self) -> tuple[dict[str, float], float]:
            """Do nothing: no choice depends on the validation pictures."""
            return {}, 0.0

        def final_eval(self) -> None:
            """Do nothing: `detectors.evaluation` measures the result as the pipeline runs it."""

    if "," not in settings.device:  # Ultralytics trains on several GPUs
        selected_device(settings.device, weights)
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
            nbs=settings.batch,  # Ultralytics would sum gradients over 64 pictures: one step per epoch on little data
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
            split="train",  # a loader is built even without validation, and there may be no other pictures
            plots=False,
            verbose=False,
        )
    trained = import_ultralytics().YOLO(str(output / "ultralytics" / "weights" / "last.pt"))
    result = output / f"{class_name}_{Path(weights).stem}.pt"
    save_for_inference(trained.model, result, image_size_px=settings.image_size_px)
    return result


def reduce(weights: str, output: Path, *, class_name: str = "person", image_size_px: int = 640) -> None:
    """Reduce the checkpoint `weights` to one class, without training, and write it to `output`.

    Raises:
        InputError: the weights are missing or no .pt checkpoint, or the model does not have the class.
    """
    model = _load(weights)
    _reduce(model, class_name)
    save_for_inference(model.model, output, image_size_px=image_size_px)


def _load(weights: str) -> Any:
    """Load an Ultralytics model that can be trained."""
    if not weights.endswith(".pt"):
        raise InputError(f"{weights} is not a .pt checkpoint; exported models cannot be trained or reduced")
    return load_model(weights)


def _reduce(model: Any, class_name: str) -> None:
    if list(model.names.values()) != [class_name]:
        keep_class(model.model, class_name)


def _keep_batch_statistics(trainer: Any) -> None:
    """Make the network normalise as in inference, with the stored means and variances.

    A few small batches give bad estimates of means and variances. In some checkpoints, batch normalisation was folded
    into the convolutions, so the stored values are not estimates. Replacing these by the values of the batches would
    make the model detect nothing.
    """
    for module in trainer.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@contextmanager
def _progress_on() -> Iterator[None]:
    """Let Ultralytics log the progress of the training."""
    logger = logging.getLogger("ultralytics")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
