"""`mtmc reid strip`, `average`, `convert` and `start`: convert weights files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer

from pipeline.commands.reid.output_file import prepare_output
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from reid.averaging import average as average_models
from reid.checkpoints import INPUT_MEAN, INPUT_STD, load_checkpoint, save_checkpoint
from reid.models.branches import without_jigsaw
from reid.models.loading import load_transreid
from reid.models.omni_scale_weights import transreid_from_openvino
from reid.training.start import learned_identities

_log = logging.getLogger(__name__)


def _numbers_text(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)


def strip(
    source: Annotated[Path, typer.Argument(help="Checkpoint of a training run.")],
    output: Annotated[Path, typer.Argument(help="Checkpoint to write (.safetensors).")],
    global_only: Annotated[
        bool,
        typer.Option(
            "--global-only",
            help="Leave out the jigsaw and its local features; the embedding is then a fifth as long.",
        ),
    ] = False,
) -> None:
    """Reduce a trained checkpoint to what inference uses, in half precision: the file for distribution."""
    prepare_output(output, (".safetensors",))
    loaded = load_checkpoint(source)
    if global_only and not loaded.model.config.jpm:
        raise InputError(f"--global-only: {source} has no jigsaw to leave out")
    save_checkpoint(
        output,
        without_jigsaw(loaded.model) if global_only else loaded.model,
        camera_names=loaded.camera_names,
        view_names=loaded.view_names,
        input_mean=loaded.input_mean,
        input_std=loaded.input_std,
        card=loaded.card,
        dtype=torch.float16,
        inference_only=True,
    )
    print(f"wrote {output}, {output.stat().st_size / 2**20:.1f} MiB")


def average(
    parts: Annotated[
        list[str], typer.Argument(help="Checkpoint and its share in the average.", metavar="FILE=SHARE...")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Checkpoint to write (.safetensors).", metavar="FILE")
    ],
) -> None:
    """Average the weights of models that began from the same start, such as the start and what was trained from it.

    Training on a few places costs some of what the start knew about all others; the average keeps more of both. Choose
    the shares on a place that took no part in any training. Models that were trained on different people can be
    averaged; the card names all trainings.

    Example:

        mtmc reid average start.safetensors=0.5 runs/reid/model.safetensors=0.5 --output average.safetensors
    """
    prepare_output(output, (".safetensors",))
    files, shares = zip(*(_file_and_share(part) for part in parts), strict=True)
    models = [load_checkpoint(file) for file in files]
    model, cameras, card = average_models(models, shares)
    save_checkpoint(
        output,
        model,
        camera_names=cameras,
        input_mean=models[0].input_mean,
        input_std=models[0].input_std,
        card=card,
    )
    print(f"wrote {output}, {output.stat().st_size / 2**20:.1f} MiB")
    several = {name: digests for name, digests in learned_identities(card).items() if len(digests) > 1}
    for name, digests in several.items():
        _log.warning(
            "the models were trained on %d different sets of people%s; the card names all. Nobody whom one of them "
            "held out counts as unknown to the average: evaluate and calibrate with people who were in no training",
            len(digests),
            f" of {shown(name)}" if name else "",
        )


def _file_and_share(text: str) -> tuple[Path, float]:
    file, equals, share = text.rpartition("=")
    try:
        if not equals:
            raise ValueError
        return Path(file), float(share)
    except ValueError as error:
        raise InputError(f"{text!r}: expected FILE=SHARE, such as start.safetensors=0.5") from error


def convert(
    source: Annotated[Path, typer.Argument(help="State dict of the official TransReID code (.pth).")],
    output: Annotated[Path, typer.Argument(help="Checkpoint of this project to write (.safetensors).")],
    cameras: Annotated[
        str | None, typer.Option(help="Names for the rows of its camera table, in order, such as c1,c2,c3.")
    ] = None,
    image_size: Annotated[str | None, typer.Option(help="Input height x width, such as 256x128.")] = None,
    stride: Annotated[int | None, typer.Option(help="Step between patches in pixels.")] = None,
    views: Annotated[int | None, typer.Option(help="Number of viewpoints in its side information.")] = None,
    shift: Annotated[int, typer.Option(help="SHIFT_NUM of its configuration: 5 for persons, 8 for vehicles.")] = 5,
    shuffle_groups: Annotated[int, typer.Option(min=1, help="SHUFFLE_GROUP of its configuration.")] = 2,
    divide_length: Annotated[
        int | None,
        typer.Option(
            min=1, help="DEVIDE_LENGTH of its configuration; by default the number of local features, which is 4."
        ),
    ] = None,
    rearrange: Annotated[
        bool, typer.Option("--rearrange/--no-rearrange", help="RE_ARRANGE of its configuration.")
    ] = True,
    mean: Annotated[
        str, typer.Option(help="INPUT.PIXEL_MEAN of its configuration, red, green, blue.")
    ] = _numbers_text(INPUT_MEAN),
    std: Annotated[str, typer.Option(help="INPUT.PIXEL_STD of its configuration.")] = _numbers_text(INPUT_STD),
) -> None:
    """Convert an official TransReID state dict to a checkpoint that the pipeline loads.

    Architecture, image size and stride are read from the shapes of the tensors; if shapes are ambiguous, the message
    lists the candidates. The options that name a setting of its configuration cannot be read from the shapes: their
    defaults are those of the official models of persons, and what was assumed is printed. Viewpoints are named v0, v1,
    ... The vehicle models with DeiT's weights need --shift 8 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225.
    """
    prepare_output(output, (".safetensors",))
    input_mean, input_std = _rgb("--mean", mean), _rgb("--std", std)
    names = tuple(cameras.split(",")) if cameras else ()
    model = load_transreid(
        source,
        image_size=None if image_size is None else _size_hw(image_size),
        stride=stride,
        cameras=len(names) or None,
        views=views,
        shift=shift,
        shuffle_groups=shuffle_groups,
        divide_length=divide_length,
        rearrange=rearrange,
    )
    for line in model.loading_report:
        print(line)
    print(f"normalises with mean {_numbers_text(input_mean)} and deviation {_numbers_text(input_std)}")
    save_checkpoint(
        output,
        model,
        camera_names=names or [f"c{row + 1}" for row in range(model.config.cameras)],
        view_names=[f"v{view}" for view in range(model.config.views)],
        input_mean=input_mean,
        input_std=input_std,
    )
    print(f"wrote {output}")


def start(
    source: Annotated[
        Path,
        typer.Argument(
            help="person-reidentification-retail-0277.xml or -0286.xml of the Open Model Zoo, with its .bin beside it."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Checkpoint of this project to write (.safetensors).")],
    blocks: Annotated[int, typer.Option(min=1, help="Transformer blocks on top of that network.")] = 4,
    width: Annotated[int, typer.Option(min=1, help="Length of a token, and of the embedding.")] = 384,
    heads: Annotated[int, typer.Option(min=1, help="Attention heads of a block; they divide the width.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random blocks, whose last layers are zero.")] = 0,
) -> None:
    """Add transformer blocks that change nothing yet to a third-party convolutional network, for `train --init`.

    The embeddings of the result are as good as those of the network; training improves them from there.
    """
    prepare_output(output, (".safetensors",))
    torch.manual_seed(seed)
    model = transreid_from_openvino(source, depth=blocks, width=width, heads=heads)
    save_checkpoint(output, model, card={"made_from": source.name})
    size = model.config.image_size
    print(
        f"wrote {output}: the trunk of {source.stem} and {blocks} blocks of width {width} that change nothing yet, for "
        f"crops of {size[0]}x{size[1]} (height x width)"
    )


def _rgb(option: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise InputError(f"{option} {text}: expected three numbers such as 0.5,0.5,0.5")
    return values


def _size_hw(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise InputError(f"--image-size {text}: expected height x width in pixels, such as 256x128")
    return int(height), int(width)
