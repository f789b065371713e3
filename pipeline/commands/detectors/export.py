"""`mtmc detectors export`."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import typer

from detectors import evaluation
from detectors.dataset import add_sequence
from detectors.export import export_network
from detectors.export_check import check_export
from detectors.yolo_dataset import DATA_FILE, halve_split, read_split
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.process_folder import working_folder

DEMO_SCENE = PROJECT_ROOT / "demo" / "scene"

Format = Literal["onnx", "openvino", "tensorrt"]
Precision = Literal["fp32", "fp16", "int8"]


def export(
    output: Annotated[
        Path, typer.Option(help="What to write: NAME.onnx, the folder NAME_openvino_model, or NAME.engine.")
    ],
    format: Annotated[Format, typer.Option(help="Library that will run the network.")] = "openvino",
    precision: Annotated[
        Precision, typer.Option(help="Numeric precision; int8 is calibrated with frames.")
    ] = "fp32",
    weights: Annotated[
        Path | None, typer.Option(help="A .pt checkpoint; by default the configuration's detector.weights.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="data.yaml with a val part, used to calibrate and compare; by default the demo scene."),
    ] = None,
    image_size: Annotated[int, typer.Option(min=32, help="Longer side of the network's input, in pixels.")] = 640,
    frames: Annotated[int, typer.Option(min=1, help="Number of frames on which outputs are compared.")] = 8,
    class_name: Annotated[str, typer.Option("--class", help="The class of the data set's boxes.")] = "person",
) -> None:
    """Export a checkpoint to a network that another library runs, and compare both on the same frames.

    A network in 16 or 32 bit is only written if it agrees with torch. The cosine similarities of the boxes and of the
    confidences must be at least .999 in every frame. Every second frame is used to calibrate an int8 network, and its
    loss of AP on the other frames is printed.

    Example: `mtmc detectors export --format onnx --output person.onnx`
    """
    checkpoint = weights or Path(load_config().detector.weights)
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} of --output does not exist")
    if output.exists():
        raise InputError(f"{output} exists already; remove it, or choose another --output")
    with working_folder("export", output.parent) as folder:
        every = 5 if precision == "int8" else 10  # twice as many frames if half of them calibrate
        data_file = data or _demo_frames(folder / "frames", class_name, every)
        calibrating, compared = (
            halve_split(data_file, "val", folder / "halves") if precision == "int8" else (data_file, data_file)
        )
        written = folder / output.name
        device = "cuda:0" if format == "tensorrt" else "cpu"
        export_network(
            checkpoint,
            written,
            format=format,
            precision=precision,
            image_size_px=image_size,
            data=calibrating.resolve(),
        )
        images = [picture.image for picture in islice(read_split(compared, "val"), frames)]
        check = check_export(checkpoint, written, images, image_size_px=image_size, device=device)
        print(
            f"{check.frames} frames: cosine with torch at least {check.boxes_cosine_min:.6f} of the boxes, "
            f"{check.scores_cosine_min:.6f} of the confidences"
        )
        if precision == "int8":
            _print_loss(checkpoint, written, compared, image_size, class_name, device)
        else:
            check.require_equal()
        shutil.move(written, output)
    print(f"wrote {output}")


def _demo_frames(folder: Path, class_name: str, every: int) -> Path:
    """Build a data set whose val part is every `every`-th frame of the demo scene."""
    for video in sorted(DEMO_SCENE.glob("*.mp4")):
        add_sequence(video, folder, every=every, train_share=0, class_name=class_name)
    return folder / DATA_FILE


def _print_loss(
    checkpoint: Path, exported: Path, data: Path, image_size: int, class_name: str, device: str
) -> None:
    before, after = (
        evaluation.evaluate([data], str(weights), class_name=class_name, image_size_px=image_size, device=device)[
            evaluation.ALL
        ]
        for weights in (checkpoint, exported)
    )
    print(f"on {before.images} frames not used for calibration, with {before.objects} boxes:")
    print(f"AP50 {before.ap50:.3f} in torch, {after.ap50:.3f} in int8: {before.ap50 - after.ap50:+.3f} lost")
    print(f"AP {before.ap:.3f} in torch, {after.ap:.3f} in int8: {before.ap - after.ap:+.3f} lost")
