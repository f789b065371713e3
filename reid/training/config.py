"""The configuration of a training run: strictly checked and immutable. Only this module reads its files, see
configs/reid/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.core.errors import InputError
from pipeline.core.shown_values import shortened, shown
from pipeline.core.yaml_file import merge, read_yaml

# Faults that one message tells.
_TOLD = 5
BASE_KEY = "base"  # key that names another file, whose values apply for keys that this file does not have

Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
Triple = tuple[float, float, float]
SetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BackboneConfig(_Section):
    """Sizes of a transformer that is not a named architecture; see `reid.models.config.TransReIDConfig`."""

    width: Count
    depth: Count
    heads: Count


class StemConfig(_Section):
    """Sizes of the omni-scale stem; see `reid.models.config.TransReIDConfig`."""

    channels: tuple[Count, Count, Count, Count]
    gate_groups: tuple[Count, Count, Count]


class ModelConfig(_Section):
    """The network.

    Attributes:
        architecture: a name in `reid.models.config.ARCHITECTURES`, or width, depth and heads.
        stem: channels and gate groups of the omni-scale stem; null for patches.
        image_size_hw: (height, width) of the input in pixels.
        stride_px: step between patches; below the patch size of 16 they overlap.
        camera_embedding: side information embedding (SIE) with rows for the cameras of the training data.
        view_embedding: SIE with rows for the viewpoints of the training data, which only some data sets have; with
            both, one row per camera and view.
        sie_coefficient: factor on the SIE.
        unknown_camera_row: add a row for crops of cameras that are not in the training data.
        jigsaw: use the jigsaw patch module (JPM) with four local features.
        shift: token at which the jigsaw starts.
        drop_path: stochastic depth rate of the last block.
        mean, std: normalisation of RGB values in [0, 1].
    """

    architecture: str | BackboneConfig
    stem: StemConfig | None = None
    image_size_hw: tuple[Count, Count] = (256, 128)
    stride_px: Count = 16
    camera_embedding: bool = True
    view_embedding: bool = False
    sie_coefficient: Positive = 3.0
    unknown_camera_row: bool = True
    jigsaw: bool = True
    shift: Count = 5
    drop_path: BelowOne = 0.1
    mean: Triple = (0.5, 0.5, 0.5)
    std: Triple = (0.5, 0.5, 0.5)


class SetConfig(_Section):
    """One of several data sets of a training; it shares no people and no cameras with the others.

    Attributes:
        share: share of the identities of each batch; the shares of all sets add up to 1.
        layout, cameras, development_ids: as in `DataConfig`.
        identities: false for crops of unknown people, such as crops of tracks. Batches then contain arbitrary crops of
            the set, which count only in the losses of the teachers.
    """

    share: Annotated[float, Field(gt=0, le=1)]
    layout: str = "auto"
    cameras: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    development_ids: Index = 0
    identities: bool = True


class DataConfig(_Section):
    """The crops and how batches are drawn from them.

    Attributes:
        sets: data sets by name, for a training on several, whose folders are given as NAME=FOLDER; cameras are then
            called NAME/CAMERA. Null for one data set, which `layout`, `cameras` and `development_ids` describe.
        layout: as in `reid.datasets.read_dataset`: "auto" or a name such as "msmt17".
        cameras: names of the cameras whose crops are used for training and evaluation; null for all.
        corrupt_images: what happens if a picture cannot be decoded; all are tried before training starts. "refuse"
            stops and names it. "skip" warns with its name and continues as if the file did not exist. Its identity
            keeps its other crops, and is dropped if it has none.
        development_ids: number of identities of the training part that are held out for evaluation. With 0, the data
            set's own query and gallery are used instead. A plain folder has none: all its people are trained on, and
            nothing is measured during training.
        ids_per_batch, crops_per_id: P and K of the batches.
        camera_dropout: probability that a training crop gets the row for unknown cameras.
        workers: processes that read images for evaluation; 0 reads in the training process.
    """

    sets: Annotated[dict[SetName, SetConfig], Field(min_length=1)] | None = None
    layout: str = "auto"
    cameras: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    corrupt_images: Literal["refuse", "skip"] = "refuse"
    development_ids: Index = 0
    ids_per_batch: Annotated[int, Field(ge=2)] = 16
    crops_per_id: Annotated[int, Field(ge=2)] = 4
    camera_dropout: Share = 0.0
    workers: Index = 0

    @model_validator(mode="after")
    def _sets_fit(self) -> DataConfig:
        if self.sets is None:
            return self
        if self.layout != "auto" or self.cameras is not None or self.development_ids:
            raise ValueError("with sets, each set has its own layout, cameras and development_ids")
        total = sum(one.share for one in self.sets.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the sets add up to {total:g} instead of 1")
        without = [name for name, ids in self.ids_of_sets().items() if ids < 2]
        if without:
            raise ValueError(
                f"ids_per_batch {self.ids_per_batch} gives {', '.join(without)} fewer than two identities per batch; "
                "take a larger batch or a larger share"
            )
        return self

    def ids_of_sets(self) -> dict[str, int]:
        """Return the identities per batch of each data set: its share of `ids_per_batch`, rounded by the largest
        remainder method."""
        if self.sets is None:
            return {"": self.ids_per_batch}
        exact = {name: one.share * self.ids_per_batch for name, one in self.sets.items()}
        ids = {name: int(value + 1e-9) for name, value in exact.items()}
        by_remainder = sorted(exact, key=lambda name: ids[name] - exact[name])
        for name in by_remainder[: self.ids_per_batch - sum(ids.values())]:
            ids[name] += 1
        return ids


class AugmentationConfig(_Section):
    """Random changes to training crops; see reid/training/augmentation.py.

    Probabilities are per crop. A jitter of x scales by a factor that is log-uniform in 1 / (1 + x) to 1 + x.

    Attributes:
        flip_probability: flip horizontally.
        pad_px: add a zero border and keep a random window of the input size; 0 for none.
        box_jitter: scale height and width of the box, each by exp(u) with u uniform in -box_jitter to box_jitter;
            pixels outside the crop replicate its border.
        box_shift: shift the box by up to this share of its sides; pixels outside the crop replicate its border.
        occlusion_probability: cover a side or the lower part with a strip of another crop of the batch.
        low_resolution_probability, smallest_scale: shrink to a random scale, at least `smallest_scale`, and enlarge
            again.
        blur_probability: blur as out of focus or by motion.
        gamma_jitter, brightness_jitter, contrast_jitter, saturation_jitter: jitter of the whole crop.
        colour_cast: jitter of each channel separately.
        grey_probability: remove all colour.
        noise: largest standard deviation of a crop's noise, for pixels in [0, 1].
        jpeg_probability: compress at a quality of 20 to 80.
        erasing_probability: replace one rectangle by noise.
    """

    flip_probability: Share = 0.5
    pad_px: Index = 10
    box_jitter: BelowOne = 0.0
    box_shift: BelowOne = 0.0
    occlusion_probability: Share = 0.0
    low_resolution_probability: Share = 0.0
    smallest_scale: Annotated[float, Field(gt=0, le=1)] = 0.25
    blur_probability: Share = 0.0
    gamma_jitter: NotNegative = 0.0
    brightness_jitter: NotNegative = 0.0
    contrast_jitter: NotNegative = 0.0
    saturation_jitter: NotNegative = 0.0
    colour_cast: NotNegative = 0.0
    grey_probability: Share = 0.0
    noise: BelowOne = 0.0
    jpeg_probability: Share = 0.0
    erasing_probability: Share = 0.5


class StartConfig(_Section):
    """How the weights that a run starts from are changed.

    Attributes:
        side_information: initial SIE rows of a backbone without them: "zero", which does not change the features, or
            "random", as in TransReID. Random rows are added to every token and are much larger than the small class
            token and position embedding of self-supervised backbones.
        standardise_features: shift and scale the final norm of a foreign backbone so that every feature channel has
            mean 0 and standard deviation 1 over training crops. Otherwise features with a large common part, such as
            those of DINOv2, are nearly equal for any loss.
    """

    side_information: Literal["zero", "random"] = "zero"
    standardise_features: bool = False


class LossConfig(_Section):
    """The loss; see reid/training/losses.py.

    Attributes:
        metric: "triplet" as in TransReID, or "contrastive", which trains faster from DINOv2's weights.
        temperature: temperature of the contrastive loss.
        label_smoothing: label smoothing of the cross-entropy.
        identity_weight: factor on cross-entropy and metric loss; 0 learns only from teachers.
        teacher_weight: factor on the loss that matches the teachers' similarities (`train --teacher`); the loss is the
            mean over teachers.
        regression_weight: factor on the loss that predicts each teacher's features by a linear layer, also a mean.
    """

    metric: Literal["triplet", "contrastive"] = "triplet"
    temperature: Positive = 0.1
    label_smoothing: BelowOne = 0.0
    identity_weight: NotNegative = 1.0
    teacher_weight: NotNegative = 10.0
    regression_weight: NotNegative = 0.0


class OptimizerConfig(_Section):
    """Optimiser, learning rates and weight decay.

    Attributes:
        name: "sgd" (momentum 0.9) or "adamw".
        lr: base learning rate.
        new_parameter_lr_factor: factor on `lr` for classifiers and batch normalisation necks.
        bias_lr_factor: factor on `lr` for biases; TransReID's release uses 2.
        layer_decay: factor on `lr` per block, counted from the last; 1 for the same rate in all blocks.
        weight_decay: weight decay of all parameters, except those of `decay_vectors`.
        decay_vectors: apply weight decay also to biases, norms, tokens, position and side information.
        frozen_blocks: number of first blocks that are frozen, together with the patch embedding; 0 freezes nothing.
        frozen_stem_stages: number of first stages of an omni-scale stem that are frozen, together with its first
            convolution; 0 freezes nothing.
        stem_lr_factor: factor on `lr` for an omni-scale stem.
        clip_norm: largest norm of the gradient; null for no clipping.
    """

    name: Literal["sgd", "adamw"]
    lr: Positive
    new_parameter_lr_factor: Positive = 1.0
    bias_lr_factor: Positive = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    weight_decay: NotNegative = 1.0e-4
    decay_vectors: bool = False
    frozen_blocks: Index = 0
    frozen_stem_stages: Index = 0
    stem_lr_factor: Positive = 1.0
    clip_norm: Positive | None = None


class ScheduleConfig(_Section):
    """How the learning rate changes; see reid/training/schedule.py.

    Attributes:
        epochs: length of the run.
        batches_per_epoch: null shows every crop once; with several data sets, as many crops as they have in total.
        warmup_epochs: length of the warm-up; may be a fraction.
        step: "iteration" for a new rate in each batch, or "epoch" for one rate per epoch.
        start_factor, floor_factor: first and last learning rate as shares of the base rate.
    """

    epochs: Count
    batches_per_epoch: Count | None = None
    warmup_epochs: NotNegative = 5.0
    step: Literal["iteration", "epoch"] = "iteration"
    start_factor: Share = 0.01
    floor_factor: Share = 0.002

    @model_validator(mode="after")
    def _warmup_fits(self) -> ScheduleConfig:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")
        return self


class RunConfig(_Section):
    """Seed, precision, checkpoints, evaluation and log of a run.

    Attributes:
        seed: seed of all random numbers.
        precision: "auto" computes in bf16 or fp16 where the hardware is fast at it, otherwise in fp32.
        ema_decay: decay of an exponential moving average of the weights, which is then evaluated and saved; null to
            use the weights themselves.
        checkpoint_every_iterations: batches between two saved states; a killed run loses no more than these. The first
            state is written before the first batch.
        evaluate_every_epochs: epochs between two evaluations; the last epoch is always evaluated.
        evaluation_batch: batch size of evaluations.
        log_every_iterations: batches between two lines in log.jsonl; each epoch adds its own line.
    """

    seed: Index = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    checkpoint_every_iterations: Count = 200
    evaluate_every_epochs: Count = 1
    evaluation_batch: Count = 64
    log_every_iterations: Count = 10


class TrainingConfig(_Section):
    """Everything that defines a training run, except its folders and the weights it starts from."""

    model: ModelConfig
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    start: StartConfig = StartConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    run: RunConfig = RunConfig()


def load_training_config(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainingConfig:
    """Read a YAML file and apply `overrides` (nested, as in the file) to it.

    A file may have a key `base: other.yaml`, relative to its own folder. Its values then override those of that file,
    mapping by mapping, as configurations of the pipeline override configs/default.yaml. A base cannot have a base.

    Raises:
        InputError: the file is missing or is not YAML, or a key is unknown, missing or has a wrong value; the message
            names file, key and what was expected.
    """
    values = read_yaml(path)
    base = values.pop(BASE_KEY, None)
    if base is not None:
        if not isinstance(base, str):
            raise InputError(f"{path}: {BASE_KEY}: expected the name of a file, but found {base!r}")
        below = read_yaml(path.parent / base)
        if BASE_KEY in below:
            raise InputError(f"{path}: {BASE_KEY}: {base} has a base itself; name a file that has none")
        values = merge(below, values)
    if not overrides:
        return parse_training_config(values, source=str(path))
    return parse_training_config(merge(values, overrides), source=f"{path} with --set")


def parse_training_config(values: Any, *, source: str) -> TrainingConfig:
    """Check parsed YAML; raises InputError, whose message calls the YAML `source`."""
    try:
        # via JSON, because pydantic's strict mode accepts a list for a tuple only there
        return TrainingConfig.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        sentences = _sentences(error)
        more = f"; and {len(sentences) - _TOLD} more" if len(sentences) > _TOLD else ""
        raise InputError(f"{source}: {'; '.join(sentences[:_TOLD])}{more}") from error


def _sentences(error: ValidationError) -> list[str]:
    sentences = []
    for item in error.errors():
        key = shortened(".".join(str(part) for part in item["loc"])) or "(top level)"
        value = item["input"]
        if item["type"] == "extra_forbidden":
            sentences.append(f"{key}: is no key of a training configuration")
            continue
        found = "" if item["type"] == "missing" else f", but found {shown(value)}"
        hint = "; quotes make a number text" if _is_text_number(value) else ""
        sentences.append(f"{key}: {item['msg']}{found}{hint}")
    return sentences


def _is_text_number(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True
