"""`mtmc reid export`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.commands.reid.arguments import LayoutOption
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.process_folder import working_folder
from reid.backends.choose import build_backend
from reid.backends.exported import load_export
from reid.checkpoints import LoadedModel, load_checkpoint
from reid.export.calibration import CalibrationCrops
from reid.export.check import ExportCheck, check_export
from reid.export.sample import CropSample, sample_of_dataset, sample_of_demo
from reid.export.to_onnx import write_onnx
from reid.export.to_openvino import write_openvino
from reid.export.to_tensorrt import write_tensorrt

Format = Literal["onnx", "openvino", "tensorrt"]
Precision = Literal["fp32", "fp16", "int8"]

_SUFFIX = {"onnx": ".onnx", "openvino": ".xml", "tensorrt": ".engine"}


def export(
    output: Annotated[
        Path, typer.Option(help="File to write: .onnx, .xml (OpenVINO, with a .bin beside it) or .engine.")
    ],
    format: Annotated[Format, typer.Option(help="Library that will run the network.")] = "openvino",
    precision: Annotated[
        Precision, typer.Option(help="Numeric precision; int8 is calibrated with crops.")
    ] = "fp32",
    checkpoint: Annotated[
        Path | None, typer.Option(help="The model; by default the configuration's embedder.weights.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled crops to calibrate and compare with; by default the demo scene's."),
    ] = None,
    layout: LayoutOption = "auto",
    crops: Annotated[int, typer.Option(min=1, help="Number of crops to use, evenly spaced.")] = 128,
) -> None:
    """Export a checkpoint to a network that another library runs, and compare both on the same crops.

    A network in 16 or 32 bit is only written if the cosine similarity between its embedding and torch's is at least
    .999 for every crop. The embeddings of an int8 network cannot be compared with those of other networks.
    It is calibrated with the crops of every second person, and its loss of mAP on the crops of the others is printed.

    Example: `mtmc reid export --format onnx --precision fp16 --output embedder.onnx`
    """
    weights = checkpoint or Path(load_config().embedder.weights or "")
    if output.suffix != _SUFFIX[format]:
        raise InputError(f"--output {output} must end in {_SUFFIX[format]} for --format {format}")
    if output.exists():
        raise InputError(f"{output} exists already; remove it, or choose another --output")
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} of --output does not exist")
    loaded = load_checkpoint(weights)
    size_hw = loaded.model.config.image_size
    sample = sample_of_demo(size_hw, crops) if data is None else sample_of_dataset(data, size_hw, crops, layout)
    calibrating, compared = sample.halves() if precision == "int8" else (None, sample)
    with working_folder("export", output.parent) as folder:
        written = folder / output.name
        _write(loaded, written, format, precision, calibrating)
        # Run in the precision of the file, not in bfloat16, which the processor may prefer. Only an engine needs a GPU.
        device = "cuda" if format == "tensorrt" else "cpu"
        backend = build_backend(load_export(written), device=device, half=False)
        check = check_export(loaded, backend, compared)
        if precision != "int8":
            check.require_equal()
        for file in sorted(folder.iterdir()):
            shutil.move(file, output.parent / file.name)
    _print(check, precision)
    print(f"wrote {output}")


def _write(
    loaded: LoadedModel, path: Path, format: Format, precision: Precision, sample: CropSample | None
) -> None:
    calibration = None if sample is None else CalibrationCrops(sample.crops, sample.rows(loaded.camera_names))
    if format == "onnx":
        write_onnx(loaded, path, precision=precision, calibration=calibration)
    elif format == "openvino":
        write_openvino(loaded, path, precision=precision, calibration=calibration)
    else:
        write_tensorrt(loaded, path, precision=precision)


def _print(check: ExportCheck, precision: Precision) -> None:
    print(
        f"{check.crops} crops: cosine with torch at least {check.cosine_min:.6f}, {check.cosine_mean:.6f} on average"
    )
    if check.map_torch is not None and check.map_export is not None:
        lost = 100 * (check.map_torch - check.map_export)
        others = ", on people not used for calibration" if precision == "int8" else ""
        print(
            f"mAP {check.map_torch:.1%} in torch, {check.map_export:.1%} in {precision}: {lost:+.1f} points lost"
            f"{others}"
        )
