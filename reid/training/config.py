"""The configuration of a training run: strict, frozen, read in one place; see configs/reid/ for files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge, read_yaml

BASE_KEY = "base"  # of a file: another file, whose keys hold where this one has none

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
    """Sizes of a transformer that has no name; see `reid.models.config.TransReIDConfig`."""

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
        view_embedding: SIE with rows for its viewpoints, which only some data sets have; with both, one row per
            camera and view.
        sie_coefficient: factor on that embedding.
        unknown_camera_row: one more row, for crops of cameras that training never saw.
        jigsaw: jigsaw patch module (JPM) with four local features.
        shift: token at which the jigsaw starts.
        drop_path: stochastic depth of the last block.
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
    """One of several data sets in one training; its people and cameras are nobody else's.

    Attributes:
        share: of the identities of each batch; the shares of all sets add up to 1.
        layout, cameras, development_ids: as of `DataConfig`.
        identities: false for crops whose people are not known, such as those of tracks: any crops then stand together
            in a batch, and serve the teachers' losses alone.
    """

    share: Annotated[float, Field(gt=0, le=1)]
    layout: str = "auto"
    cameras: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    development_ids: Index = 0
    identities: bool = True


class DataConfig(_Section):
    """The crops and how batches are drawn from them.

    Attributes:
        sets: by name, the data sets of a training on several, whose folders are given as NAME=FOLDER; cameras are then
            called NAME/CAMERA. Null for one data set, which `layout`, `cameras` and `development_ids` describe.
        layout: as of `reid.datasets.read_dataset`: "auto" or a name such as "msmt17".
        cameras: names of the only cameras whose crops are used, to train on and to measure on; null for all.
        corrupt_images: what happens when a picture cannot be decoded, which is tried with all before training
            starts. "refuse" stops and names it. "skip" warns with its name and goes on as if the file were not
            there: its identity keeps its other crops and is none at all without any.
        development_ids: identities of the training part held out to measure progress on; 0 measures on the
            data set's own query and gallery instead, which a plain folder does not have apart from training.
        ids_per_batch, crops_per_id: P and K of the batches.
        camera_dropout: probability that a training crop is given the unknown camera's row.
        workers: processes that read images to measure progress on; 0 reads in the training process.
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
            raise ValueError("with sets, each set has layout, cameras and development_ids of its own")
        total = sum(one.share for one in self.sets.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the sets add up to {total:g} instead of 1")
        without = [name for name, ids in self.ids_of_sets().items() if ids < 2]
        if without:
            raise ValueError(
                f"ids_per_batch {self.ids_per_batch} gives {', '.join(without)} less than two identities of a batch; "
                "take a larger batch or a larger share"
            )
        return self

    def ids_of_sets(self) -> dict[str, int]:
        """Identities of each batch by data set: the shares of `ids_per_batch`, rounded by largest remainders."""
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

    Probabilities are of a crop. A jitter of x scales by a factor that is log-uniform in 1 / (1 + x) to 1 + x.

    Attributes:
        flip_probability: horizontal flip.
        pad_px: zero border, of which a random window of the input size is kept; 0 for none.
        box_jitter: height and width of the box, each looser or tighter by up to this share (as a logarithm); what lies
            outside the crop repeats its border.
        box_shift: the box shifted by up to this share of its sides, likewise.
        occlusion_probability: a strip of another crop of the batch covers a side or the lower part.
        low_resolution_probability, smallest_scale: made smaller, down to this scale, and blown up again.
        blur_probability: out of focus, or smeared by motion.
        gamma_jitter, brightness_jitter, contrast_jitter, saturation_jitter: of the whole crop.
        colour_cast: jitter of each channel by itself.
        grey_probability: without any colour.
        noise: largest standard deviation of a crop's noise, of pixels in [0, 1].
        jpeg_probability: coded at a quality of 20 to 80.
        erasing_probability: one rectangle of noise.
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
    """What happens to weights that a run starts from.

    Attributes:
        side_information: of a backbone without it: "zero", which leaves the features as they are, or "random", as
            the authors of TransReID have it. Random rows are added to every token and drown the small class token
            and position embedding of self-supervised backbones.
        standardise_features: shift and scale the final norm of a foreign backbone so that every feature channel
            has mean 0 and deviation 1 over training crops. Features that share a large common part, as those
            of DINOv2 do, are otherwise nearly equal to any loss.
    """

    side_information: Literal["zero", "random"] = "zero"
    standardise_features: bool = False


class LossConfig(_Section):
    """The loss; see reid/training/losses.py.

    Attributes:
        metric: "triplet" as TransReID, or "contrastive", which trains faster from DINOv2's weights.
        temperature: of the contrastive loss.
        label_smoothing: of the cross-entropy.
        identity_weight: factor on cross-entropy and metric loss; 0 learns from teachers alone.
        teacher_weight: factor on the loss that matches the teachers' similarities, for `train --teacher`; the mean over
            teachers.
        regression_weight: factor on the loss that finds the teachers' features by a linear layer each, likewise.
    """

    metric: Literal["triplet", "contrastive"] = "triplet"
    temperature: Positive = 0.1
    label_smoothing: BelowOne = 0.0
    identity_weight: NotNegative = 1.0
    teacher_weight: NotNegative = 10.0
    regression_weight: NotNegative = 0.0


class OptimizerConfig(_Section):
    """How parameters move.

    Attributes:
        name: "sgd" (momentum 0.9) or "adamw".
        lr: base learning rate.
        new_parameter_lr_factor: factor on `lr` for classifiers and batch normalisation necks.
        bias_lr_factor: factor on `lr` for biases; TransReID's release has 2.
        layer_decay: factor on `lr` per block counted from the last; 1 for one rate throughout.
        weight_decay: on every parameter, or see `decay_vectors`.
        decay_vectors: whether biases, norms, tokens, position and side information decay too.
        frozen_blocks: patch embedding and this many first blocks keep their weights; 0 freezes nothing.
        frozen_stem_stages: first convolution and this many first stages of an omni-scale stem keep their weights; 0
            freezes nothing.
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
        batches_per_epoch: null for as many as show every crop once; with several data sets, as many crops as there are.
        warmup_epochs: may be a fraction.
        step: "iteration", or "epoch" for one rate per epoch.
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
    """The run itself.

    Attributes:
        seed: of everything random.
        precision: "auto" computes in bf16 or fp16 where the hardware is fast at it, else in fp32.
        ema_decay: evaluates and exports an exponential moving average of the weights; null for the weights.
        checkpoint_every_iterations: how much work a killed run loses at most; the first state is written before
            the first batch.
        evaluate_every_epochs: the last epoch is evaluated in any case.
        evaluation_batch: crops at once.
        log_every_iterations: lines in log.jsonl; epochs have their own.
    """

    seed: Index = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    checkpoint_every_iterations: Count = 200
    evaluate_every_epochs: Count = 1
    evaluation_batch: Count = 64
    log_every_iterations: Count = 10


class TrainingConfig(_Section):
    """Everything that defines a training run apart from its folders and the weights it starts from."""

    model: ModelConfig
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    start: StartConfig = StartConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    run: RunConfig = RunConfig()


def load_training_config(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainingConfig:
    """Read a YAML file, then `overrides` (nested, as in the file) over it.

    A file may say `base: other.yaml`, relative to its own folder: it is then read over that file, mapping by mapping,
    as configurations of the pipeline are read over configs/default.yaml. A base has no base.

    Raises:
        InputError: no such file, no YAML, or a key that is unknown, missing or has a wrong value; names file,
            key and what was expected.
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
    """Check parsed YAML; `source` names it in the errors (InputError)."""
    try:
        # as JSON, because pydantic's strict mode takes a list for a tuple from there only
        return TrainingConfig.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise InputError("\n".join(_sentences(error, source))) from error


def _sentences(error: ValidationError, source: str) -> list[str]:
    sentences = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "(top level)"
        value = item["input"]
        shown = "" if item["type"] == "missing" else f", but found {value!r}"
        hint = "; YAML reads 1e-4 as text, write 1.0e-4" if _is_text_number(value) else ""
        sentences.append(f"{source}: {key}: {item['msg']}{shown}{hint}")
    return sentences


def _is_text_number(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True
